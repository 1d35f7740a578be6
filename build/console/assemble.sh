#!/usr/bin/env bash
# Assembles the folder of ServiceComb's own console: build/console/assemble.sh DIR
# Its files come from service-center's sources in Go's module cache, those that it needs beside them
# from npm, at the versions of package-lock.json, where their owners' hashes are kept. No script of a
# package runs. Then: mepserver --console-dir DIR, and a browser at /servicecomb/.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
if [[ $# != 1 || -z $1 ]]; then
  echo "usage: $0 DIR, a folder that does not exist yet" >&2
  exit 2
fi
[[ ! -e $1 ]] || { echo "$1 is there already: nothing is overwritten" >&2; exit 1; }
command -v npm >/dev/null || { echo "npm is needed to assemble the console" >&2; exit 1; }
source=$(cd "$here" && go list -m -f '{{.Dir}}' github.com/apache/servicecomb-service-center)/frontend/app
[[ -f $source/index.html ]] || { echo "there is no console in service-center's sources: go mod download" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$work"
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >"$work/npm.log" 2>&1) || { cat "$work/npm.log" >&2; exit 1; }

to=$work/console
cp -R "$source" "$to"
chmod -R u+w "$to" # the module cache is read-only
cp "$source/../../LICENSE" "$source/../../NOTICE" "$to"
from=$work/node_modules parts=$to/bower_components

# take FILE...: from its package to the place that index.html looks for it.
take() {
  local file
  for file; do
    mkdir -p "$parts/$(dirname "$file")"
    cp -R "$from/$file" "$parts/$file"
  done
}
# moved PACKAGE FILE: the same where npm has it at another place.
moved() {
  mkdir -p "$parts/$(dirname "$2")"
  cp -R "$from/$1" "$parts/$2"
}
take angular-material/angular-material.css angular-material-data-table/dist/md-data-table.css angular-swagger-ui/dist/css/swagger-ui.min.css \
  bootstrap/dist/css/bootstrap.min.css bootstrap/dist/fonts vis/dist/vis.min.css vis/dist/img css-percentage-circle/css/circle.css \
  jquery/dist/jquery.js angular/angular.js angular-animate/angular-animate.js angular-aria/angular-aria.js angular-messages/angular-messages.js \
  angular-resource/angular-resource.js angular-sanitize/angular-sanitize.js angular-ui-router/release/angular-ui-router.js \
  angular-translate-loader-static-files/angular-translate-loader-static-files.js angular-material/angular-material.js \
  angular-material-data-table/dist/md-data-table.js angular-swagger-ui/dist/scripts/swagger-ui.js \
  angular-swagger-ui/dist/scripts/modules/swagger-yaml-parser.min.js jszip/vendor/FileSaver.js jszip/dist/jszip.min.js js-yaml/dist/js-yaml.min.js vis/dist/vis.min.js
moved font-awesome/css components-font-awesome/css
moved font-awesome/fonts components-font-awesome/fonts
moved angular-translate/dist/angular-translate.js angular-translate/angular-translate.js
moved yamljs/dist/yaml.js yaml.js/dist/yaml.js
moved swagger-ui-dist/swagger-ui-bundle.js swagger-ui/dist/swagger-ui-bundle.js
moved swagger-ui-dist/swagger-ui-standalone-preset.js swagger-ui/dist/swagger-ui-standalone-preset.js
mkdir -p "$parts/angular-yamljs/dist" # of it npm has nothing, and there is no more to it than this
cat >"$parts/angular-yamljs/dist/angular-yamljs.js" <<'EOF'
angular.module('mmumshad.yamljs', []).factory('YAML', ['$window', function ($window) { return $window.YAML; }]);
EOF

missing=0
while read -r file; do
  [[ -f $to/$file ]] || { echo "index.html wants $file, which is not there" >&2; missing=1; }
done < <(grep -oE '(src|href)="[^":]+"' "$to/index.html" | cut -d'"' -f2)
[[ $missing == 0 ]] || exit 1
mkdir -p "$(dirname "$1")"
mv "$to" "$1"
echo "assembled $1; now: mepserver --console-dir $1, and a browser at /servicecomb/"
