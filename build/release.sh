#!/usr/bin/env bash
# Makes a release of the sources as they lie here:
#   build/release.sh v1.2.3 [FOLDER]      # dist/v1.2.3 if no folder is named
# For linux on amd64 and arm64: archives of the programs, the three images of build/Dockerfile
# as OCI archives with one index each, the chart, a bill of materials of each program
# (CycloneDX), and SHA256SUMS of it all. The same revision gives the same bytes, whenever and
# wherever it is built with the same release of Go. Nothing is signed: sign SHA256SUMS.
# Needs Go, the Go module proxy, GNU tar and gzip.
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC GOWORK=off GOFLAGS='' CGO_ENABLED=0 GOOS='' GOARCH='' GOAMD64=v1 GOARM64=v8.0
cd "$(dirname "$0")/.."

version=${1:-} out=${2:-dist/${1:-}}
if [[ ! $version =~ ^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$ ]]; then
  echo "usage: $0 vMAJOR.MINOR.PATCH [FOLDER]" >&2
  exit 2
fi
if [[ -e $out ]]; then
  echo "$out is there already" >&2
  exit 1
fi
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
if [[ $revision != unknown && -n $(git status --porcelain 2>/dev/null) ]]; then
  echo "the sources are not those of ${revision:0:12}: there are changes that are not committed" >&2
  revision+=-changed
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
out=$(cd "$out" && pwd)

# pack FILE FOLDER: what lies in the folder; the same bytes for the same content.
pack() {
  (cd "$2" && tar --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u+rw,go-w -cf "$work/tar" -- *)
  if [[ $1 == *gz ]]; then gzip -9n <"$work/tar" >"$1"; else mv "$work/tar" "$1"; fi
}

echo "the programs, with $(go env GOVERSION)"
for arch in amd64 arm64; do
  bin=$work/bin/linux-$arch
  mkdir -p "$bin"
  mkdir -m 0700 "$bin/data"
  GOOS=linux GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o "$bin/" ./cmd/mepserver ./cmd/mep-agent
  archive=$work/archive/$arch/mepserver-$version-linux-$arch
  mkdir -p "$archive"
  cp "$bin/mepserver" "$bin/mep-agent" LICENSE conf/mepserver.yaml conf/mep-agent.yaml build/mepserver.service build/mep-agent@.service "$archive/"
  pack "$out/mepserver-$version-linux-$arch.tar.gz" "$work/archive/$arch"
done

echo "the bills of materials"
(cd build/release && go build -o "$work/sbom" github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod)
for arch in amd64 arm64; do
  for program in mepserver mep-agent; do
    "$work/sbom" bin -json -std -noserial -notimestamp -version "$version" \
      -output "$out/$program-$version-linux-$arch.cdx.json" "$work/bin/linux-$arch/$program" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
  done
done

echo "the images"
(cd build/image && go build -o "$work/image" .)
for name in mepserver mepserver-edgegallery mep-agent; do
  case $name in
    mepserver) stage='' ;;
    mepserver-edgegallery) stage=edgegallery ;;
    *) stage=$name ;;
  esac
  "$work/image" -dockerfile build/Dockerfile -stage "$stage" -bin "$work/bin" -out "$work/$name" \
    -name "$name" -version "$version" -revision "$revision" -epoch "$SOURCE_DATE_EPOCH"
  pack "$out/$name-$version.oci.tar" "$work/$name"
done

echo "the chart"
mkdir -p "$work/chart"
cp -RL build/helm "$work/chart/mepserver" # alerts.yaml is a link
mv "$work/chart/mepserver/values-edgegallery.yaml" "$out/values-edgegallery-$version.yaml"
sed -i "s/^version: .*/version: ${version#v}/; s/^appVersion: .*/appVersion: $version/" "$work/chart/mepserver/Chart.yaml"
sed -i "s/^    tag: .*/    tag: $version/" "$out/values-edgegallery-$version.yaml"
pack "$out/mepserver-chart-$version.tgz" "$work/chart"

(cd "$out" && sha256sum -- * >"$work/sums" && mv "$work/sums" SHA256SUMS && cat SHA256SUMS)
