/** Llama and Megalodon; knows nothing of runs. */
module megalodon4j.models {
    requires transitive megalodon4j.autograd;
    requires tools.jackson.databind;

    exports megalodon4j.models;
}
