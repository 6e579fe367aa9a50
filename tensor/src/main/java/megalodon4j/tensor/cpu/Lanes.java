package megalodon4j.tensor.cpu;

import java.lang.management.ManagementFactory;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector shape that every kernel of this package is compiled for, and the one primitive whose cost depends on the chip.
 *
 * <p>The species is the JVM's preferred one; {@code -Dmegalodon.lanes=4|8|16} forces a narrower one, {@code
 * -XX:UseAVX=2} and {@code -XX:UseAVX=0} do so at the root.
 */
final class Lanes {
    static final VectorSpecies<Float> SPECIES = species();

    /** Floats in a vector. */
    static final int W = SPECIES.length();

    static final boolean ARM = System.getProperty("os.arch").equals("aarch64");

    /**
     * Whether the chip multiplies and adds in one instruction. Where it does not, {@link FloatVector#fma} is emulated
     * with BigDecimal, thousands of times slower than a multiplication and an addition.
     */
    static final boolean FMA = hasFma();

    private Lanes() {}

    /** a · b + c. */
    static FloatVector fma(FloatVector a, FloatVector b, FloatVector c) {
        return FMA ? a.fma(b, c) : a.mul(b).add(c);
    }

    private static VectorSpecies<Float> species() {
        var preferred = FloatVector.SPECIES_PREFERRED;
        int lanes = Integer.getInteger("megalodon.lanes", preferred.length());
        return switch (Math.min(lanes, preferred.length())) {
            case 4 -> FloatVector.SPECIES_128;
            case 8 -> FloatVector.SPECIES_256;
            case 16 -> FloatVector.SPECIES_512;
            default -> throw new IllegalStateException("megalodon.lanes=" + lanes + ": 4, 8 or 16 lanes are supported");
        };
    }

    private static boolean hasFma() {
        if (ARM) {
            return true;
        }
        var hotspot = ManagementFactory.getPlatformMXBean(com.sun.management.HotSpotDiagnosticMXBean.class);
        return Boolean.parseBoolean(hotspot.getVMOption("UseFMA").getValue());
    }
}
