#!/usr/bin/env bash
# Makes the footage that the test cameras show, once, into the directory given:
#   yard.h264   real CCTV: vtest.avi of Debian's opencv-doc (768x576, 10 frames a second, pedestrians), 79 s
#   yard.h265   the same scene in H.265, mirrored and smaller, so that nobody takes one for the other
#   clock.h264  a test picture with a running clock and a frame counter, 15 frames a second, 60 s
#   tone.aac    a tone that comes and goes, 16 kHz mono, 60 s, in ADTS
# Video is a raw byte stream with access unit delimiters, closed GOPs of exactly one second and no B-frames, as cameras
# send it. Safe to call from several tests at once; a file that is there is complete.
set -euo pipefail

if [ $# -ne 1 ]; then
  echo "usage: $0 DIRECTORY" >&2
  exit 2
fi
mkdir -p "$1"
cd "$1"

wanted=(yard.h264 yard.h265 clock.h264 tone.aac)
complete() {
  local file
  for file in "${wanted[@]}"; do [ -s "$file" ] || return 1; done
}
if complete; then exit 0; fi

exec 9>.lock
flock 9
if complete; then exit 0; fi

scratch=$(mktemp -d ./.making.XXXXXX)
trap 'rm -rf "$scratch"' EXIT

encode() { # ENDPRODUCT FFMPEG-ARGUMENTS...
  local name=$1
  shift
  if [ -s "$name" ]; then return 0; fi
  ffmpeg -nostdin -hide_banner -loglevel error -y "$@" "$scratch/$name"
  mv "$scratch/$name" "$name"
}

update_lists() {
  if [ "$(id -u)" -eq 0 ]; then apt-get -q update; else command -v sudo >/dev/null && sudo -n apt-get -q update; fi
}

fetch_vtest() {
  (
    cd "$scratch"
    # apt drops to its own user for the download where it can; this directory is ours, so it says so and goes on.
    # Package lists that are missing or old are the usual cause: those are fetched once, where that can be done.
    if ! apt-get -q download opencv-doc >apt.log 2>&1 && ! { update_lists && apt-get -q download opencv-doc; } >>apt.log 2>&1; then
      echo "footage.sh: Debian's package opencv-doc cannot be fetched. Where the package lists are missing or old," >&2
      echo "  run 'apt-get update' as root, then this again. apt said:" >&2
      cat apt.log >&2
      exit 1
    fi
    dpkg-deb --fsys-tarfile opencv-doc_*.deb | tar -x --wildcards --to-stdout '*/vtest.avi*' >vtest.raw
    rm opencv-doc_*.deb
    # Some releases of the package compress its examples.
    if gzip -t vtest.raw 2>gzip.log; then gzip -dc vtest.raw >vtest.avi; else mv vtest.raw vtest.avi; fi
  )
}

x264=(-c:v libx264 -preset veryfast -profile:v high -pix_fmt yuv420p)
x265=(-c:v libx265 -preset ultrafast -pix_fmt yuv420p)

if [ ! -s yard.h264 ] || [ ! -s yard.h265 ]; then
  fetch_vtest
  # 790 of its 795 frames: whole seconds, so that the last GOP is as long as the others.
  encode yard.h264 -i "$scratch/vtest.avi" -an -frames:v 790 "${x264[@]}" -crf 26 \
    -x264-params "keyint=10:min-keyint=10:scenecut=0:bframes=0:aud=1:repeat-headers=1:open-gop=0" -f h264
  encode yard.h265 -i "$scratch/vtest.avi" -an -frames:v 790 -vf hflip,scale=640:480 "${x265[@]}" -crf 28 \
    -x265-params "log-level=error:keyint=10:min-keyint=10:scenecut=0:bframes=0:aud=1:repeat-headers=1:open-gop=0" -f hevc
fi
encode clock.h264 -f lavfi -i testsrc2=size=640x360:rate=15 -frames:v 900 "${x264[@]}" -crf 28 \
  -x264-params "keyint=15:min-keyint=15:scenecut=0:bframes=0:aud=1:repeat-headers=1:open-gop=0" -f h264
encode tone.aac -f lavfi -i "sine=frequency=660:beep_factor=2:sample_rate=16000" -t 60 -ac 1 -c:a aac -b:a 32k -f adts
