"""The dependencies as Debian's packages, under their central-registry names."""

load("//third_party/debian:pkg_config.bzl", "pkg_config_repository")

def _rules_cc_impl(rctx):
    """The load lines of newer Bazels, for one whose C++ rules are built in."""
    native_rules = ["cc_binary", "cc_import", "cc_library", "cc_test"]
    defs = native_rules + [
        "cc_proto_library",
        "cc_toolchain",
        "cc_toolchain_suite",
        "fdo_prefetch_hints",
        "fdo_profile",
        "objc_library",
    ]
    for rule in native_rules:
        rctx.file("cc/%s.bzl" % rule, "%s = native.%s\n" % (rule, rule))
    rctx.file("cc/defs.bzl", "".join(["%s = native.%s\n" % (rule, rule) for rule in defs]) +
                             # rules_proto and bazel_tools load these; nothing here calls them.
                             "cc_flags_supplier = None\n" +
                             "def compiler_flag(**kwargs):\n    pass\n")
    rctx.file("cc/BUILD", "")
    rctx.file("WORKSPACE", "")

_rules_cc = repository_rule(implementation = _rules_cc_impl)

# Bazel insists on this label existing, whether or not coverage is asked for.
def _coverage_tools_impl(rctx):
    rctx.file("BUILD", "filegroup(name = \"coverage_report_generator\", visibility = [\"//visibility:public\"])\n")
    rctx.file("WORKSPACE", "")

_coverage_tools = repository_rule(implementation = _coverage_tools_impl)

def _stb_impl(rctx):
    # One level down, to be found by -isystem: the top of a repository is searched
    # with -iquote, and a warning in a header found that way would be an error.
    rctx.symlink("/usr/include/stb", "include")
    rctx.file("BUILD.bazel", """load("@rules_cc//cc:cc_library.bzl", "cc_library")

[
    cc_library(
        name = name,
        hdrs = ["include/%s.h" % name],
        includes = ["include"],
        visibility = ["//visibility:public"],
    )
    for name in ["stb_image", "stb_image_resize", "stb_image_write"]
]
""")
    rctx.file("WORKSPACE", "")

_stb = repository_rule(implementation = _stb_impl)

def _eigen_impl(rctx):
    rctx.symlink("/usr/include/eigen3", "include")
    rctx.file("BUILD.bazel", """load("@rules_cc//cc:cc_library.bzl", "cc_library")

cc_library(
    name = "eigen",
    hdrs = glob(["include/Eigen/**"]),
    includes = ["include"],
    visibility = ["//visibility:public"],
)
""")
    rctx.file("WORKSPACE", "")

_eigen = repository_rule(implementation = _eigen_impl)

def debian_repositories():
    """Declares every repository that a build of neb may ask for; none of them is downloaded."""
    _rules_cc(name = "rules_cc")
    _coverage_tools(name = "remote_coverage_tools")
    _stb(name = "stb")
    _eigen(name = "eigen")

    # Bazel's own needs. Those that a release does not have are not asked for by its Bazel.
    for name, path in {
        "bazel_features": "tools/features",
        "bazel_skylib": "tools/skylib",
        "platforms": "tools/platforms",
        "rules_java": "rules/java",
        "rules_license": "rules/license",
        "rules_proto": "rules/proto",
        "rules_python": "rules/python",
    }.items():
        native.local_repository(name = name, path = "/usr/share/bazel/" + path)

    pkg_config_repository(name = "abseil-cpp", targets = {
        "absl/cleanup": ["absl_cleanup"],
        "absl/container:flat_hash_map": ["absl_flat_hash_map"],
        "absl/container:flat_hash_set": ["absl_flat_hash_set"],
        "absl/container:inlined_vector": ["absl_inlined_vector"],
        "absl/flags:flag": ["absl_flags"],
        "absl/flags:parse": ["absl_flags_parse"],
        "absl/flags:reflection": ["absl_flags_reflection"],
        "absl/flags:usage": ["absl_flags_usage"],
        "absl/functional:function_ref": ["absl_function_ref"],
        "absl/hash": ["absl_hash"],
        "absl/status": ["absl_status"],
        "absl/status:statusor": ["absl_statusor"],
        "absl/strings": ["absl_strings"],
        "absl/strings:str_format": ["absl_str_format"],
        "absl/types:span": ["absl_span"],
    })
    pkg_config_repository(name = "highway", targets = {
        ":hwy": ["libhwy"],
        ":hwy_test_util": ["libhwy-test", "libhwy"],
        # Header-only here: what the project uses of contrib are its maths headers.
        ":math": ["libhwy"],
    })
    pkg_config_repository(name = "googletest", targets = {
        ":gtest": ["gmock"],
        ":gtest_main": ["gmock_main"],
    })
    pkg_config_repository(name = "google_benchmark", targets = {
        ":benchmark": ["benchmark"],
        ":benchmark_main": ["-lbenchmark_main", "benchmark"],
    })
    pkg_config_repository(name = "nlohmann_json", targets = {":json": ["nlohmann_json"]})
    pkg_config_repository(name = "zlib", targets = {":zlib": ["zlib"]})
