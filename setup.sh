#!/usr/bin/env bash
# Installs the Debian packages that a build of neb needs and this machine lacks.
#
#   ./setup.sh          what `bazel test` needs
#   ./setup.sh --dev    also the compilers and checkers that .ci/run uses
#
# Says nothing when there is nothing to do.
set -euo pipefail

die() {
  echo "setup.sh: $*" >&2
  exit 1
}

packages=(
  # Bazel, and the rules that bazel-bootstrap does not pull in by itself.
  bazel-bootstrap bazel-platforms bazel-rules-java bazel-rules-proto bazel-skylib
  g++ pkg-config
  libabsl-dev libeigen3-dev libhwy-dev libstb-dev nlohmann-json3-dev zlib1g-dev
  libgtest-dev libgmock-dev libbenchmark-dev
  dataset-fashion-mnist
)
case "${1-}" in
  "") ;;
  --dev) packages+=(clang clang-format clang-tidy git libclang-rt-14-dev) ;;
  *) die "unknown argument '$1'; usage: ./setup.sh [--dev]" ;;
esac

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
  die "needs Debian 12 or a relative of it: dpkg-query or apt-get is missing here"

# Lists the packages of this script that are not installed, one per line.
missing() {
  comm -23 <(printf '%s\n' "${packages[@]}" | sort) \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null |
      sed -n 's/^installed //p' | sort -u)
}

mapfile -t wanted < <(missing)
[[ ${#wanted[@]} -eq 0 ]] && exit 0

as_root=()
if [[ $EUID -ne 0 ]]; then
  command -v sudo >/dev/null || die "needs root or sudo to install: ${wanted[*]}"
  as_root=(sudo)
fi
apt_get() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

echo "setup.sh: installing ${wanted[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt_get update && apt_get install --no-install-recommends "${wanted[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  die "apt-get failed, see above"
fi

mapfile -t wanted < <(missing)
[[ ${#wanted[@]} -eq 0 ]] || die "apt-get succeeded, yet these are not installed: ${wanted[*]}"
echo "setup.sh: done"
