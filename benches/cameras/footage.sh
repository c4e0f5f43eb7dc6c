#!/usr/bin/env bash
# Makes what the cameras of `make bench-cameras` send, once, into the directory given:
#   load-2.h264, load-4.h264   1920x1080, 15 frames a second, 2 and 4 Mbps, closed GOPs of 2 s, no B-frames, one slice a
#                              frame, 20 s: the real CCTV scene of tests/peers/footage.sh, enlarged
# Safe to call twice at once; a file that is there is complete.
set -euo pipefail

if [ $# -ne 1 ]; then
  echo "usage: $0 DIRECTORY" >&2
  exit 2
fi
"$(dirname "$0")/../../tests/peers/footage.sh" "$1"
cd "$1"
exec 9>.lock-load
flock 9

for mbps in 2 4; do
  if [ -s "load-$mbps.h264" ]; then continue; fi
  ffmpeg -nostdin -hide_banner -loglevel error -y -framerate 10 -i yard.h264 -vf "scale=1920:1080,fps=15" -frames:v 300 \
    -an -c:v libx264 -preset veryfast -profile:v high -pix_fmt yuv420p \
    -b:v "${mbps}M" -minrate "${mbps}M" -maxrate "${mbps}M" -bufsize "${mbps}M" \
    -x264-params "keyint=30:min-keyint=30:scenecut=0:bframes=0:aud=1:repeat-headers=1:open-gop=0:slices=1:nal-hrd=none" \
    -f h264 "load-$mbps.making"
  mv "load-$mbps.making" "load-$mbps.h264"
done
