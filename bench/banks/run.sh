#!/usr/bin/env bash
# Banks at scale: imports, what a million recent events cost, previews, looking again, and what all that does
# to the events that come meanwhile.
#   bench/banks/run.sh [EVENTS] [MEMBERS]     (default 1000000 1000000)
# BIN=… measures another binary, KEEP=DIR keeps the generated files and the data directory there.
set -euo pipefail
cd "$(dirname "$0")/../.."
events=${1:-1000000} members=${2:-1000000}
target=${CARGO_TARGET_DIR:-target}/release
cargo build --release --quiet --locked -p manara --bin manara --example bench_events
bin=${BIN:-$target/manara}
work=${KEEP:-$(mktemp -d)}
mkdir -p "$work"
server=
trap 'kill $server $(jobs -p) 2>/dev/null || true; [ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT
generate() { python3 bench/banks/generate.py "$@"; }
has() { [ -s "$1" ]; }

# measured LABEL COMMAND...: seconds and peak memory; exit code 1 says "found nothing", which is no error.
measured() {
  python3 - "$@" <<'PY'
import resource, subprocess, sys, time
label, *command = sys.argv[1:]
started = time.time()
done = subprocess.run(command, capture_output=True, text=True)
took = time.time() - started
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
said = (done.stderr.strip().splitlines() or [""])[0][:90]
print(f"{label:34} {took:7.2f} s {memory:6.0f} MB  {said}", flush=True)
sys.exit(done.returncode if done.returncode > 1 else 0)
PY
}

echo "== imports of $members members"
for kind in pdq mixed; do for full in "" full; do
  has "$work/$kind$full.csv" || generate bank $kind "$members" $full >"$work/$kind$full.csv"
  rm -rf "$work/import" && "$bin" bank create --data "$work/import" B 2>/dev/null
  measured "import $kind ${full:-plain}" "$bin" bank import --data "$work/import" B "$work/$kind$full.csv"
done; done
rm -rf "$work/import"

echo "== $events events"
has "$work/events.ndjson" || generate events 0 "$events" >"$work/events.ndjson"
data=$work/data
export MANARA_API_KEY=bench-key-0123456789abcdef0123
rm -rf "$data"
"$bin" bank create --data "$data" HASHES 2>/dev/null
"$bin" bank import --data "$data" HASHES "$work/pdq.csv" 2>/dev/null
generate bank text 100000 >"$work/phrases.csv"
"$bin" bank create --data "$data" PHRASES 2>/dev/null
"$bin" bank import --data "$data" PHRASES "$work/phrases.csv" --force 2>/dev/null
mkdir -p "$data/rules"
cat >"$data/rules/bench.rules" <<'RULES'
rule later {
  on post.created
  policy bench
  reason "A rule of the benchmark."
  when bank("LATER").matches(content.text)
  then enqueue("bench", priority: 1)
}
RULES
"$bin" bank create --data "$data" LATER 2>/dev/null
"$bin" serve --data "$data" --listen 127.0.0.1:18083 >"$work/out" 2>"$work/err" &
server=$!
until curl -sf -o /dev/null http://127.0.0.1:18083/readyz; do sleep 0.05; done
bytes() { cat "$data"/manara.db* | wc -c; }
before=$(bytes) started=$(date +%s.%N)
rm -f "$work"/part.* && split -n l/4 "$work/events.ndjson" "$work/part."
senders=()
for part in "$work"/part.*; do
  curl -sS -o "$part.answers" -X POST -T "$part" -H 'Content-Type: application/x-ndjson' \
    -H "Authorization: Bearer $MANARA_API_KEY" http://127.0.0.1:18083/api/v1/events & senders+=($!)
done
wait "${senders[@]}"
! grep -m1 '"problem"' "$work"/part.*.answers || exit 1
took=$(echo "$(date +%s.%N) - $started" | bc)
echo "intake: $took s; disk: $(( ($(bytes) - before) / events )) bytes for each event"

load() { "$target/examples/bench_events" --address 127.0.0.1:18083 --key "$MANARA_API_KEY" --rate 1000 --batch 10 --connections 4 "$@" | sed 's/.*request/request/'; }
metric() { curl -sf http://127.0.0.1:18083/metrics | awk -v name="$1" '$1 == name {print int($2)}'; }
# Of one of the newest, or the events sent below would push it out of the window.
text=$(tail -1 "$work/events.ndjson" | python3 -c 'import json,sys; print(json.load(sys.stdin)["content"]["text"])')
words=$(cut -d' ' -f3-5 <<<"$text")
hash=$(grep -m1 -o '"pdq":"[0-9a-f]*"' "$work/events.ndjson" | cut -d'"' -f4)
link=$(grep -m1 -o '"links":\["[^"]*"' "$work/events.ndjson" | cut -d'"' -f4)
handle=$(grep -m1 -o '"display_name":"[^"]*"' "$work/events.ndjson" | cut -d'"' -f4)

echo "== previews over all of them, on the command line"
one() { measured "preview one $1" "$bin" bank add --data "$data" LATER "$1" "$2" --preview; }
one text "$words"; one pdq "$hash"; one url "$link"; one name "$handle"; one raw_text "$text"; one similar_text "$text"
generate bank text 10000 >"$work/ten.csv"
"$bin" bank create --data "$data" TEN --mode shadow 2>/dev/null
"$bin" bank import --data "$data" TEN "$work/ten.csv" 2>/dev/null
measured "preview 10,000 phrases that begin" "$bin" bank set --data "$data" TEN --mode live --preview
measured "similar uploads" "$bin" bank similar --data "$data"

echo "== requests of 10 events, 1,000 events/s"
echo "by themselves:        $(load --run alone --events 20000)"
(for _ in 1 2 3 4 5 6 7 8; do "$bin" bank add --data "$data" LATER text "$words" --preview; done) >/dev/null 2>&1 &
echo "during CLI previews:  $(load --run cli --events 20000)"
wait $! || true

echo "== looking again, in the server"
later() {
  local found started; found=$(metric manara_found_later_total) started=$(date +%s.%N)
  "$@" >/dev/null 2>&1
  until [ "$(metric manara_found_later_total)" != "$found" ]; do sleep 0.1; done
  echo "after $label: $(echo "$(date +%s.%N) - $started" | bc) s, $(awk '/VmHWM/ {printf "%.0f MB at most", $2/1024}' "/proc/$server/status")"
}
label="one phrase" later "$bin" bank add --data "$data" LATER text "$words" --force &
looking=$!
echo "requests meanwhile:   $(load --run later --events 20000)"
wait $looking
{ generate bank text 100000 | sed 's/$/ again/'; echo "text,$(cut -d' ' -f8-10 <<<"$text"),found"; } >"$work/hundred.csv"
label="100,000 phrases" later "$bin" bank import --data "$data" LATER "$work/hundred.csv" --force &
looking=$!
echo "requests meanwhile:   $(load --run later2 --events 20000)"
wait $looking
