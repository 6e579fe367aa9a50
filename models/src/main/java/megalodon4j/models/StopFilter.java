package megalodon4j.models;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;

/** Holds tokens back while they may be the beginning of a stop string, and drops them when they are one. */
final class StopFilter {
    private final List<List<Integer>> stops;
    private final IntConsumer sink;
    private final List<Integer> held; // the longest end of the text that a stop begins with
    private int out; // how many of them, the first ones, have been handed out nevertheless

    /** @param before what an earlier filter held when its text had to end, and handed out */
    StopFilter(List<List<Integer>> stops, List<Integer> before, IntConsumer sink) {
        this.stops = stops;
        this.sink = sink;
        held = new ArrayList<>(before);
        out = before.size();
    }

    /** Whether this token completes a stop string. Of several the longest counts. */
    boolean add(int token) {
        held.add(token);
        for (int from = 0; from < held.size(); from++) {
            var end = held.subList(from, held.size());
            if (stops.contains(end)) {
                release(from);
                held.clear();
                out = 0;
                return true;
            }
        }
        int from = 0;
        while (from < held.size() && !isBeginning(held.subList(from, held.size()))) {
            from++;
        }
        release(from);
        return false;
    }

    private boolean isBeginning(List<Integer> tokens) {
        return stops.stream()
                .anyMatch(s ->
                        s.size() > tokens.size() && s.subList(0, tokens.size()).equals(tokens));
    }

    /**
     * No more tokens will come.
     *
     * @return what was held
     */
    List<Integer> finish() {
        var last = List.copyOf(held);
        release(held.size());
        return last;
    }

    private void release(int count) {
        var ready = held.subList(0, count);
        ready.stream().skip(out).forEach(sink::accept);
        out = Math.max(0, out - count);
        ready.clear();
    }
}
