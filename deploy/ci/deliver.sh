#!/bin/sh
# On the main branch: makes the manifests below DIR the truth, waits for the fleet, and takes the change
# back where the fleet does not take it.
#
#   deliver.sh DIR
#
# Needs SLUICE_ADMIN and SLUICE_TOKEN, a token that may `get`, `plan`, `create`, `update` and `delete`.
#
#   SLUICE_WAIT      how long to wait for proxies (60s)
#   SLUICE_QUORUM    share of the fleet that is enough (1: all of it)
#   SLUICE_MESSAGE   why, for the history (the commit, where CI names it)
#   SLUICE_BASE      the revision that was reviewed (the newest one, where none is named)
#
# Exit codes: 0 the fleet runs it; 1 refused, by the control plane or by proxies; 2 wrong usage;
# 3 the fleet did not take it in time; 4 the change stands, for it could not be taken back: somebody has to
# look. After 1 and 3 everything is as it was.
set -eu

if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    sed -n '2,20s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
directory=$1
wait=${SLUICE_WAIT:-60s}
quorum=${SLUICE_QUORUM:-1}
message=${SLUICE_MESSAGE:-commit ${GITHUB_SHA:-${CI_COMMIT_SHA:-unknown}}}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The revision that the output of a write names; none if it wrote nothing.
written() {
    sed -n 's/^revision \([0-9][0-9]*\)$/\1/p' "$1"
}

# What is applied is what was planned: with the base, an apply is refused if somebody changed the same things
# since.
sluice plan --prune -f "$directory" -o json >"$work/plan" || exit 1
base=${SLUICE_BASE:-$(sed -n 's/^  "base": \([0-9][0-9]*\),\{0,1\}$/\1/p' "$work/plan")}

code=0
sluice apply --prune -f "$directory" --base-revision "$base" --message "$message" \
    --wait "$wait" --quorum "$quorum" >"$work/applied" || code=$?
grep -v ' unchanged$' "$work/applied" || true
revision=$(written "$work/applied")
if [ "$code" -eq 0 ] || [ -z "$revision" ]; then
    exit "$code"
fi

# Back to what was there right before. With the base, nothing is taken back that others did since.
back=0
sluice rollback $((revision - 1)) --base-revision "$revision" --message "take revision $revision back: $message" \
    --wait "$wait" --quorum "$quorum" >"$work/back" || back=$?
cat "$work/back"
restored=$(written "$work/back")
if [ -z "$restored" ]; then
    echo "revision $revision stands: it could not be taken back" >&2
    exit 4
fi
echo "revision $revision is taken back: $restored has the content of $((revision - 1))" >&2
if [ "$back" -ne 0 ]; then
    echo "not all of the fleet runs revision $restored yet: see sluice receipt $restored" >&2
fi
exit "$code"
