#!/bin/sh
# Sets up, builds and serves the example API: scripts/start.sh [PORT]
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh
url=http://127.0.0.1:${1:-8000}
cat <<END

The example API, scripts/examples/app.lua, at $url
Try it from another terminal (Ctrl-C here stops it):

  curl $url/plaintext
  curl '$url/users/42?q=tea'
  curl -d '{"items": [1, 2, 39]}' $url/sum

END
exec build/release/moonloop serve scripts/examples/app.lua --port "${1:-8000}"
