package megalodon4j.tensor;

/** How a GPU multiplies matrices. Operands and results are float32 in memory, and sums are kept in float32, in all three. */
public enum Precision {
    /** As it is. */
    FP32,
    /** Operands are rounded to 10 bits of mantissa on their way into the tensor cores. */
    TF32,
    /** Operands are rounded to bfloat16 (7 bits of mantissa) in memory first. */
    BF16
}
