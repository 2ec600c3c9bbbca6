#!/bin/sh
# Asks a ruthan service about one message, given as an argument or on standard input. Needs curl and jq.
#
#   RUTHAN_URL=https://ruthan.example RUTHAN_KEY=rtk_… sh scan.sh "ข้อความที่สงสัย"
#
# Exit code: 0 allow, 1 block, 2 no verdict, 3 review.
set -u
url=${RUTHAN_URL:-http://127.0.0.1:8000}

if [ $# -gt 0 ]; then text=$1; else text=$(cat); fi

# The key goes to curl by its standard input: arguments of a command can be seen by everyone on the machine.
# --retry waits as long as Retry-After says; --fail-with-body keeps what the service says is wrong.
reply=$(
  printf '%s' "${RUTHAN_KEY:+header = \"Authorization: Bearer $RUTHAN_KEY\"}" |
    curl --config - --silent --show-error --fail-with-body --max-time 60 --retry 4 --retry-connrefused --retry-max-time 120 \
      "$url/v1/scan" --header 'Content-Type: application/json' --data "$(jq -n --arg text "$text" '{text: $text}')"
) || {
  printf '%s\n' "$reply" | jq -r '.detail? // .' >&2
  exit 2
}

printf '%s\n' "$reply" | jq -r '"\(.action)  \(.label)  \(.risk)", .reasons[], .advice[]'
case $(printf '%s\n' "$reply" | jq -r .action) in
  allow) exit 0 ;;
  block) exit 1 ;;
  review) exit 3 ;;
  *) exit 2 ;;
esac
