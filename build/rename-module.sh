#!/usr/bin/env bash
# Renames the module: build/rename-module.sh example.org/owner/name
# Rewrites every mention of the old path in code, go.mod files, docs and scripts.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

new=${1:-}
if [[ ! $new =~ ^[a-z0-9.-]+\.[a-z]+(/[A-Za-z0-9._~-]+)+$ ]]; then
  echo "usage: $0 HOST/OWNER/NAME, such as example.org/owner/name" >&2
  exit 2
fi
old=$(awk '$1 == "module" {print $2; exit}' go.mod)
if [[ -z $old ]]; then
  echo "go.mod has no module line" >&2
  exit 1
fi
if [[ $old == "$new" ]]; then
  echo "the module is $new already"
  exit 0
fi

# A longer name that only begins or ends like the old one is another module. Two
# rounds, because one match uses up the character between two neighbours.
before='(^|[^A-Za-z0-9._~-])'
after='($|[^A-Za-z0-9_~-])'
pattern=${old//./\\.}
script="s#${before}${pattern}${after}#\\1${new}\\2#g"

mapfile -d '' files < <(find . \( -name .git -o -path ./data -o -path ./bin -o -path ./dist \) -prune -o \
  -type f \( -name '*.go' -o -name go.mod -o -name '*.md' -o -name '*.y*ml' -o -name '*.sh' -o -name 'Dockerfile*' -o -path './.ci/*' \) \
  -print0 | xargs -0 -r grep -lZF -- "$old" || true)
for f in "${files[@]}"; do
  sed -E -i -e "$script" -e "$script" "$f"
done
go_files=()
for f in "${files[@]}"; do
  [[ $f == *.go ]] && go_files+=("$f")
done
if ((${#go_files[@]})); then
  gofmt -w "${go_files[@]}" # the imports may sort otherwise now
fi
left=$(printf '%s\0' "${files[@]}" | xargs -0 -r grep -lE -- "${before}${pattern}${after}" || true)
if [[ -n $left ]]; then
  echo "still named there: $left" >&2
  exit 1
fi
echo "$old is $new now, in ${#files[@]} files; 'go test ./...' tells whether all is well"
