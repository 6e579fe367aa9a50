package megalodon4j.train;

import java.math.BigDecimal;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import megalodon4j.models.Utf8Stream;

/**
 * What a config key may be set to. {@link #read} takes what YAML made of it and throws {@link Wrong} for anything else.
 */
sealed interface Kind {
    Object read(Object value) throws Wrong;

    /** What is allowed, in words. */
    String allowed();

    /** A value that is not allowed. */
    final class Wrong extends Exception {
        private static final long serialVersionUID = 1;

        Wrong(String what) {
            super(what, null, false, false);
        }
    }

    /** A whole number, read as {@link Long}. */
    record Whole(long min, long max) implements Kind {
        @Override
        public Long read(Object value) throws Wrong {
            if (!(value instanceof Integer || value instanceof Long) || !inRange(((Number) value).longValue())) {
                throw new Wrong(show(value));
            }
            return ((Number) value).longValue();
        }

        private boolean inRange(long value) {
            return min <= value && value <= max;
        }

        @Override
        public String allowed() {
            return "a whole number from " + min + " to " + max;
        }
    }

    /** A finite number, read as {@link Double}. */
    record Real(double min, boolean minAllowed, double max, boolean maxAllowed) implements Kind {
        /** YAML 1.1 takes 4e-4, without a point, for text. */
        private static final Pattern DECIMAL = Pattern.compile("[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)?");

        @Override
        public Double read(Object value) throws Wrong {
            double number;
            if (value instanceof Number n) {
                number = n.doubleValue();
            } else if (value instanceof String text && DECIMAL.matcher(text).matches()) {
                number = Double.parseDouble(text);
            } else {
                throw new Wrong(show(value));
            }
            if (!inRange(number)) {
                throw new Wrong(show(value));
            }
            return number;
        }

        private boolean inRange(double number) {
            return (minAllowed ? number >= min : number > min) && (maxAllowed ? number <= max : number < max);
        }

        private static String shortest(double number) {
            return BigDecimal.valueOf(number).stripTrailingZeros().toPlainString();
        }

        @Override
        public String allowed() {
            var low = minAllowed ? "at least " + shortest(min) : "above " + shortest(min);
            var high = maxAllowed ? " and at most " + shortest(max) : " and less than " + shortest(max);
            return max == Double.MAX_VALUE ? "a finite number " + low : "a number " + low + high;
        }
    }

    /** A number that is used as a 32-bit float, and as such in range as well. */
    record Single(Real range) implements Kind {
        @Override
        public Double read(Object value) throws Wrong {
            var number = range.read(value);
            if (!range.inRange(number.floatValue())) {
                throw new Wrong(show(value));
            }
            return number;
        }

        @Override
        public String allowed() {
            return range.allowed() + ", also as a 32-bit float";
        }
    }

    /** true or false. */
    record Flag() implements Kind {
        @Override
        public Boolean read(Object value) throws Wrong {
            if (value instanceof Boolean flag) {
                return flag;
            }
            throw new Wrong(show(value));
        }

        @Override
        public String allowed() {
            return "true or false";
        }
    }

    /** Text that is not empty and may name a file. */
    record Text() implements Kind {
        @Override
        public String read(Object value) throws Wrong {
            if (value instanceof String text && !text.isBlank() && text.indexOf('\0') < 0) {
                return text;
            }
            throw new Wrong(show(value));
        }

        @Override
        public String allowed() {
            return "text without NUL characters (in quotes where YAML takes it for something else)";
        }
    }

    /** One of a few words. */
    record Choice(List<String> words) implements Kind {
        @Override
        public String read(Object value) throws Wrong {
            if (value instanceof String text && words.contains(text.toLowerCase(Locale.ROOT))) {
                return text.toLowerCase(Locale.ROOT);
            }
            throw new Wrong(show(value));
        }

        @Override
        public String allowed() {
            return String.join(", ", words);
        }
    }

    /** A word, or a value of another kind. */
    record Or(String word, Kind other) implements Kind {
        @Override
        public Object read(Object value) throws Wrong {
            return word.equals(value) ? word : other.read(value);
        }

        @Override
        public String allowed() {
            return word + " or " + other.allowed();
        }
    }

    /** Anything: for keys that have no effect. */
    record Anything() implements Kind {
        @Override
        public Object read(Object value) {
            return value;
        }

        @Override
        public String allowed() {
            return "anything";
        }
    }

    /** The value as the user would recognise it, at most a line. */
    static String show(Object value) {
        var text = Utf8Stream.printable(value instanceof String ? "\"" + value + "\"" : String.valueOf(value));
        return text.length() <= 60 ? text : text.substring(0, 60) + "…";
    }

    /** A number without an exponent, which every YAML reader takes for a number. */
    static String plain(double number) {
        return BigDecimal.valueOf(number).toPlainString();
    }
}
