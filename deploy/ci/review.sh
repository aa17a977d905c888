#!/bin/sh
# On a pull request: says what is wrong with the manifests below DIR, what they would change, and what is
# probably not meant.
#
#   review.sh DIR COMMENT
#
# COMMENT becomes a comment for the pull request, in Markdown, also when something is wrong.
# Needs SLUICE_ADMIN and SLUICE_TOKEN, a token that may `get` and `plan`.
#
# Exit codes: 0 all is well; 1 an apply would be refused, the linter finds an error, or the control plane
# does not answer; 2 wrong usage.
set -eu

if [ $# -ne 2 ] || [ ! -d "$1" ]; then
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
directory=$1
comment=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A comment that says why there is nothing else to say. It has 65,536 characters at most.
failed() {
    {
        printf '### Sluice: %s\n\n' "$1"
        # As code, whatever is in it.
        head -c 50000 "$work/said" | sed 's/^/    /'
    } >"$comment"
    cat "$work/said" >&2
    exit 1
}

sluice plan --prune -f "$directory" -o markdown >"$work/plan" 2>"$work/said" ||
    failed 'an apply would be refused'

# Among what is live, so that references lead where they will. Warnings are in the comment and fail nothing; what
# are errors, a LintPolicy says.
code=0
sluice lint --live --prune -f "$directory" -o markdown >"$work/lint" 2>"$work/said" || code=$?
[ -s "$work/lint" ] || failed 'the linter does not answer'

room=$((65000 - $(wc -c <"$work/plan")))
{
    cat "$work/plan"
    echo
    if [ "$(wc -c <"$work/lint")" -le "$room" ]; then
        cat "$work/lint"
    else
        head -c $((room - 200)) "$work/lint" | sed '$d'
        printf '\n**The linter says more than this comment holds: `sluice lint --live` shows all of it.**\n'
    fi
} >"$comment"
cat "$comment"
exit "$code"
