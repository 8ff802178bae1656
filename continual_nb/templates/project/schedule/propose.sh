#!/bin/sh
# Open what is due, run the pipeline, and put the question on a branch of its own: the first half of a turn, on a fresh clone.
# Leaves the text of the pull request in .dvc/tmp/continual/question.md, and says `branch=...` in $GITHUB_OUTPUT if there is a question.
set -eu
cd "$(dirname "$0")/.."
say() { echo "$1"; [ -z "${GITHUB_OUTPUT:-}" ] || echo "$1" >>"$GITHUB_OUTPUT"; }
asked=$(git ls-remote --heads origin 'refs/heads/iteration/*' | sed 's,.*refs/heads/,,')
if [ -n "$asked" ]; then
    echo "a question waits for its signature: $asked (delete the branch to ask anew)"
    exit 0
fi
if [ -f dvc.lock ]; then dvc pull --quiet; fi
code=0
continual turn --wait "${WAIT:-1d}" ${AUTOMATIC:+--automatic} || code=$?
if [ -n "${AUTOMATIC:-}" ]; then dvc push --quiet; git push --quiet --follow-tags origin HEAD; fi
[ "$code" -ne 0 ] || exit 0      # nothing is due
[ "$code" -eq 3 ] || exit "$code"
name=$(continual status --json | python -c 'import json, sys; print(json.load(sys.stdin)["iteration"])')
git checkout --quiet -B "iteration/$name"
git add -A -- data dvc.lock
git commit --quiet -m "Iteration $name: a decision is asked"
dvc push --quiet
git push --quiet origin "iteration/$name"
{
    cat data/work/report/summary.md
    cat <<TEXT

---
**Merging this signs it, in the name of whoever merges.** The reason is the text of the merge commit; write yours there. With the label \`reject\`
the merge signs a rejection instead. Closing without merging signs nothing: delete the branch, and the question is asked anew.

The signature is bound to the evidence in this branch; the page has the sha256 \`$(sha256sum data/work/report/report.html | cut -d' ' -f1)\`.
TEXT
} >.dvc/tmp/continual/question.md
say "name=$name"
say "branch=iteration/$name"
