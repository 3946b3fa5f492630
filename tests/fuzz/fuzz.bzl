"""A fuzz target and the test that replays its corpus."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")

def reader_fuzz(name, deps):
    """name_fuzz, a libFuzzer program for --config=fuzz, and name_replay_test, for every build.

    Args:
      name: of the reader; the target is in name_fuzz.cc, its inputs in corpus/name.
      deps: of the target.
    """
    cc_library(
        name = name + "_target",
        testonly = True,
        srcs = [name + "_fuzz.cc"],
        deps = deps + [":fuzz_input"],
        alwayslink = True,
    )
    cc_binary(
        name = name + "_fuzz",
        testonly = True,
        # Its main is libFuzzer's, which only --config=fuzz links.
        tags = ["manual"],
        deps = [":" + name + "_target"],
    )
    cc_test(
        name = name + "_replay_test",
        size = "small",
        srcs = ["replay_main.cc"],
        args = ["tests/fuzz/corpus/" + name],
        data = native.glob(["corpus/" + name + "/*"]),
        deps = [":" + name + "_target"],
    )
