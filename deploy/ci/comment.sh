#!/bin/sh
# Puts the file COMMENT on a pull request of GitHub, or on a merge request of GitLab: as one comment, which
# later runs replace.
#
#   comment.sh github|gitlab COMMENT
#
# Needs curl and jq. For GitHub GITHUB_TOKEN (`pull-requests: write`), PULL_REQUEST, and what Actions sets:
# GITHUB_REPOSITORY and GITHUB_API_URL. For GitLab GITLAB_TOKEN (a project access token with the scope `api`), and
# what CI sets: CI_API_V4_URL, CI_PROJECT_ID and CI_MERGE_REQUEST_IID.
#
# Exit codes: 0 done; 2 wrong usage; any other: those of curl and jq.
set -eu

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

[ $# -eq 2 ] && [ -f "$2" ] || usage
case $1 in
github)
    authorization="authorization: Bearer $GITHUB_TOKEN"
    comments="$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments"
    one="$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues/comments"
    replace=PATCH
    ;;
gitlab)
    authorization="private-token: $GITLAB_TOKEN"
    comments="$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes"
    one=$comments
    replace=PUT
    ;;
*) usage ;;
esac

# By this line the comment is found again.
marker='<!-- sluice review -->'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The token is in a file of this directory and not among the arguments, which others could see.
(umask 077 && printf '%s\n' "$authorization" >"$work/authorization")
request() {
    curl -sS --fail-with-body --max-time 60 -H @"$work/authorization" -H 'content-type: application/json' "$@"
}

id=""
page=1
while [ -z "$id" ] && [ "$page" -le 100 ]; do
    request "$comments?per_page=100&page=$page" >"$work/page"
    id=$(jq -r --arg marker "$marker" 'map(select(.body | startswith($marker)))[0].id // empty' "$work/page")
    [ "$(jq length "$work/page")" -eq 100 ] || break
    page=$((page + 1))
done
jq -n --arg marker "$marker" --rawfile text "$2" '{body: ($marker + "\n" + $text)}' >"$work/body"
if [ -n "$id" ]; then
    request -X "$replace" --data @"$work/body" "$one/$id" >"$work/answer"
else
    request -X POST --data @"$work/body" "$comments" >"$work/answer"
fi
