#!/bin/sh
# On a pull request: says what is wrong with the manifests below DIR, what they would change, and what is
# probably not meant.
#
#   review.sh DIR COMMENT
#
# COMMENT becomes a comment for the pull request, in Markdown, also when something is wrong.
# Needs SLUICE_ADMIN and SLUICE_TOKEN, a token that may `get` and `plan`.
#
# Exit codes: 0 all is well; 1 an apply would be refused, or the control plane does not answer;
# 2 wrong usage.
set -eu

if [ $# -ne 2 ] || [ ! -d "$1" ]; then
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
directory=$1
comment=$2
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# Text as code in Markdown, whatever is in it.
indented() {
    head -c "$1" "$said" | sed 's/^/    /'
}

if ! sluice plan --prune -f "$directory" -o markdown >"$comment" 2>"$said"; then
    {
        printf '### Sluice: an apply would be refused\n\n'
        # A comment has 65,536 characters at most.
        indented 50000
    } >"$comment"
    cat "$said" >&2
    exit 1
fi

# What is probably not meant. It fails nothing: without the control plane, references to what is not among the files,
# such as Secrets, lead nowhere, and whether they do is the plan's to say.
sluice lint -R -f "$directory" --strict >"$said" 2>&1 || {
    printf '\n<details><summary>The linter has found something</summary>\n\n'
    indented 4000
    printf '\n</details>\n'
} >>"$comment"
cat "$comment"
