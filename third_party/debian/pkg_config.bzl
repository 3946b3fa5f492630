"""cc_library targets whose link flags come from pkg-config.

Hand-written lists of -labsl_* break between Debian releases. The headers are
in /usr/include, where the compiler looks anyway.
"""

def _split(label):
    """"a/b:c" -> (a/b, c), "a/b" -> (a/b, b), as in Bazel's own labels."""
    if ":" in label:
        package, name = label.split(":")
        return package, name
    return label, label.split("/")[-1]

def _impl(rctx):
    packages = {}
    for label, libraries in rctx.attr.targets.items():
        modules = [m for m in libraries if not m.startswith("-")]
        found = rctx.execute(["pkg-config", "--libs"] + modules)
        if found.return_code != 0:
            fail("pkg-config knows nothing of %s; run ./setup.sh\n%s" % (modules, found.stderr))
        flags = [m for m in libraries if m.startswith("-")] + found.stdout.split(" ")
        package, name = _split(label)
        packages.setdefault(package, []).append(
            "cc_library(name = %r, linkopts = %r, visibility = [\"//visibility:public\"])\n" %
            (name, [f.strip() for f in flags if f.strip()]),
        )
    for package, rules in packages.items():
        rctx.file(
            (package + "/" if package else "") + "BUILD.bazel",
            "load(\"@rules_cc//cc:cc_library.bzl\", \"cc_library\")\n\n" + "\n".join(rules),
        )
    rctx.file("WORKSPACE", "")
    rctx.file("MODULE.bazel", "")

pkg_config_repository = repository_rule(
    doc = "targets: label inside the repository -> pkg-config modules (and linker flags, put first).",
    implementation = _impl,
    local = True,
    configure = True,
    attrs = {"targets": attr.string_list_dict(mandatory = True)},
)
