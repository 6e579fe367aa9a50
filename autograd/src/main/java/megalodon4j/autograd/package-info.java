/** What a gradient is: the tape, differentiable operations, parameters, layers, optimizers. */
package megalodon4j.autograd;
