/** Runs of models and the command line that starts them. */
module megalodon4j.train {
    requires transitive megalodon4j.models;
    requires chart.js;
    requires com.samskivert.jmustache;
    requires info.picocli;
    requires java.net.http;
    requires jdk.management;
    requires me.tongfei.progressbar;
    requires org.slf4j;
    requires org.yaml.snakeyaml;
    requires tools.jackson.databind;

    exports megalodon4j.train;

    opens megalodon4j.train to
            com.samskivert.jmustache,
            info.picocli;
}
