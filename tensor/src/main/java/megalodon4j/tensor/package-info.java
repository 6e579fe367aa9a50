/** What a number is and how fast it moves: tensors, memory, devices, kernels, SafeTensors, random numbers. */
package megalodon4j.tensor;
