// NVRTC by g++: a "cubin" is a shared library behind its length.

#include "simulated.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <unistd.h>

struct _nvrtcProgram : Counted {
    std::string source, name, log, image;
    bool machineCode = false;
};

static constexpr int ARCHITECTURES[] = {80, 90, 100, 120};

static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream contents;
    contents << file.rdbuf();
    return contents.str();
}

// The two things that are not C++ even with kernel.h in front, and a way to find each kernel.
static std::string translate(const std::string& source) {
    static const std::regex dynamicShared(R"(extern\s+__shared__\s+(?:__align__\(\d+\)\s+)?([\w ]+?)\s+(\w+)\s*\[\s*\])");
    static const std::regex kernel(R"(extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\()");
    auto text = std::regex_replace(source, dynamicShared, "static const DynamicShared<$1> $2");
    for (std::sregex_iterator match(source.begin(), source.end(), kernel), end; match != end; ++match) {
        text += "\nSIMULATED_KERNEL(" + (*match)[1].str() + ")";
    }
    return text + "\n";
}

static bool runCompiler(_nvrtcProgram& program, const std::string& folder) {
    std::ofstream(folder + "/kernel.cpp") << translate(program.source);
    auto command = "g++ -std=c++17 -O2 -shared -fPIC -fvisibility=hidden -fno-semantic-interposition -Wno-attributes -include " +
                   std::string(SIMULATED_FOLDER) + "/kernel.h -o " + folder + "/kernel.so " + folder + "/kernel.cpp 2> " + folder + "/log";
    bool compiled = system(command.c_str()) == 0;
    program.log = read(folder + "/log");
    if (compiled) {
        auto library = read(folder + "/kernel.so");
        size_t bytes = library.size();
        program.image = std::string(IMAGE_MAGIC, 8) + std::string((char*) &bytes, sizeof bytes) + library;
    }
    for (auto file : {"/kernel.cpp", "/kernel.so", "/log", ""}) remove((folder + file).c_str());
    return compiled;
}

extern "C" {
nvrtcResult nvrtcVersion(int* major, int* minor) {
    *major = 13;
    *minor = SIMULATED_VERSION; // not that of any real one: their cubins must not be mixed up
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetNumSupportedArchs(int* count) {
    *count = std::size(ARCHITECTURES);
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetSupportedArchs(int* list) {
    std::copy(std::begin(ARCHITECTURES), std::end(ARCHITECTURES), list);
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcCreateProgram(nvrtcProgram* program, const char* source, const char* name, int headers, const char* const*,
                               const char* const*) {
    if (headers != 0) return NVRTC_ERROR_INVALID_INPUT;
    *program = new _nvrtcProgram;
    (*program)->source = source;
    (*program)->name = name;
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcDestroyProgram(nvrtcProgram* program) {
    delete *program;
    *program = nullptr;
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int count, const char* const* options) {
    static const std::regex target("--gpu-architecture=(sm|compute)_(\\d+)");
    for (int i = 0; i < count; i++) {
        std::cmatch match;
        if (std::regex_match(options[i], match, target)) {
            int architecture = std::stoi(match[2].str());
            bool known = std::count(std::begin(ARCHITECTURES), std::end(ARCHITECTURES), architecture) > 0;
            if (!known) return NVRTC_ERROR_INVALID_OPTION;
            program->machineCode = match[1] == "sm";
        } else if (std::string(options[i]) != "--std=c++17") {
            return NVRTC_ERROR_INVALID_OPTION;
        }
    }
    char folder[] = "/tmp/simulated-XXXXXX";
    if (!mkdtemp(folder)) return NVRTC_ERROR_COMPILATION;
    return runCompiler(*program, folder) ? NVRTC_SUCCESS : NVRTC_ERROR_COMPILATION;
}

nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t* size) {
    *size = program->log.size() + 1;
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char* log) {
    strcpy(log, program->log.c_str());
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t* size) {
    *size = program->machineCode ? program->image.size() : 0;
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char* image) {
    if (!program->machineCode) return NVRTC_ERROR_INVALID_INPUT;
    std::copy(program->image.begin(), program->image.end(), image);
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetPTXSize(nvrtcProgram program, size_t* size) {
    *size = program->image.size();
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetPTX(nvrtcProgram program, char* image) {
    std::copy(program->image.begin(), program->image.end(), image);
    return NVRTC_SUCCESS;
}

const char* nvrtcGetErrorString(nvrtcResult result) {
    return result == NVRTC_ERROR_COMPILATION ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR";
}
}
