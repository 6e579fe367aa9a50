/** What a Llama and a Megalodon are: the forward pass, the streaming cache, sampling, the names of the weights. */
package megalodon4j.models;
