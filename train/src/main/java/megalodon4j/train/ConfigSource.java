package megalodon4j.train;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import megalodon4j.models.HuggingFace;
import megalodon4j.train.Kind.Text;
import org.yaml.snakeyaml.DumperOptions;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;
import org.yaml.snakeyaml.representer.Representer;

/**
 * What a config file and the command line say, before it is checked against what is allowed: known keys only, each with
 * where it was said, later words over earlier ones.
 */
final class ConfigSource {
    /** A value as YAML reads it, and where it stands: a file's name or an option. */
    record Said(Object value, String where) {}

    private static final Pattern QUOTED_OR_NULL = Pattern.compile("(?is)\\s*('.*'|\".*\"|null|~|)\\s*");

    private final String file;
    private final Map<String, Said> said = new LinkedHashMap<>();
    private List<String> ignored = List.of();

    private ConfigSource(String file) {
        this.file = file;
    }

    /** A file alone. */
    static ConfigSource read(Path path) {
        var source = new ConfigSource(path.toString());
        if (!(source.parse(source.text(path)) instanceof Map<?, ?> map)) {
            throw Failure.usage("%s: no config; lines of the form 'key: value' are expected", path);
        }
        map.forEach((key, value) -> source.add(String.valueOf(key), value));
        return source;
    }

    /** The model of a Hugging Face folder's {@code config.json}; what is none of a model's has its default. */
    static ConfigSource readHuggingFace(Path json) {
        var source = new ConfigSource(json.toString());
        try {
            var read = HuggingFace.readConfig(json);
            source.ignored = read.ignored();
            var model = read.config();
            source.add("model", model.kind());
            model.settings().forEach(source::add);
            source.add("seq_len", Math.min(512, model.chunkSize()));
            return source;
        } catch (IOException e) {
            throw Failure.of(json, e);
        }
    }

    private String text(Path path) {
        try {
            return Files.readString(path);
        } catch (CharacterCodingException e) {
            throw Failure.usage("%s: no config, since it is not UTF-8 text", file)
                    .causedBy(e);
        } catch (IOException e) {
            var what = Files.isDirectory(path) ? "a folder; a YAML file is needed" : Failure.reason(e);
            throw Failure.usage("%s: %s", file, what).causedBy(e);
        }
    }

    private Object parse(String text) {
        try {
            return yaml().load(text);
        } catch (MarkedYAMLException e) {
            var at = e.getProblemMark();
            throw Failure.usage("%s: line %d: %s", file, at == null ? 0 : at.getLine() + 1, e.getProblem())
                    .causedBy(e);
        } catch (YAMLException e) {
            throw Failure.usage("%s: %s", file, e.getMessage()).causedBy(e);
        }
    }

    private void add(String name, Object value) {
        var key = known(name, file);
        if (said.put(key.name(), new Said(value, file)) != null) {
            throw Failure.usage("%s: %s: the same key as %s, which is given as well", file, name, Key.otherName(name));
        }
    }

    /** The words of {@code --set key=value}; the value is read as YAML, but text that is neither quoted nor null is taken as it stands. */
    ConfigSource set(List<String> assignments) {
        for (var assignment : assignments) {
            int equals = assignment.indexOf('=');
            if (equals < 1) {
                throw Failure.usage("--set %s: 'key=value' is expected", assignment);
            }
            var name = assignment.substring(0, equals).strip();
            var key = known(name, "--set");
            said.put(key.name(), new Said(value(key, assignment.substring(equals + 1)), "--set"));
        }
        return this;
    }

    /** An option of the command line that stands for a key; {@code null} leaves the key as it is. */
    ConfigSource option(String option, String key, Object value) {
        if (value != null) {
            said.put(key, new Said(value, option));
        }
        return this;
    }

    private static Object value(Key key, String text) {
        // A path may look like anything.
        if (key.kind() instanceof Text && !QUOTED_OR_NULL.matcher(text).matches()) {
            return text.strip();
        }
        try {
            return yaml().load(text);
        } catch (YAMLException e) {
            return text;
        }
    }

    private static Key known(String name, String where) {
        return Key.of(name)
                .orElseThrow(() -> Failure.usage(
                        "%s: %s: unknown key; the nearest known one is %s", where, Kind.show(name), Key.nearest(name)));
    }

    /** The file's name, for errors that concern several keys. */
    String file() {
        return file;
    }

    /** Names in the file that are no keys and change nothing. */
    List<String> ignored() {
        return ignored;
    }

    /** What was said about a key; {@code null} where nothing was, or null. */
    Said of(Key key) {
        var it = said.get(key.name());
        return it == null || it.value() == null ? null : it;
    }

    private static Yaml yaml() {
        var loading = new LoaderOptions();
        loading.setAllowDuplicateKeys(false);
        var dumping = new DumperOptions();
        return new Yaml(new SafeConstructor(loading), new Representer(dumping), dumping, loading);
    }
}
