#!/bin/sh
# Carry out a merged question: sign in the name of whoever merged, run what is left, seal, push. The second half of a turn, on a fresh clone.
#   SIGNER   who merged, as the host of the repository says (not as a commit claims)
#   REASON   why; the text of the merge commit
#   ABOUT    where the merge can be looked up, as "pull request 12, commit abc123"
#   VERDICT  approve (or nothing), reject
set -eu
: "${SIGNER:?who merged}"
cd "$(dirname "$0")/.."
git config user.name "$SIGNER"
git config user.email "$SIGNER@${MAIL_DOMAIN:-users.noreply.github.com}"
dvc pull --quiet
continual sign "${VERDICT:-approve}" --by "$SIGNER" --reason "${REASON:-Merged.}${ABOUT:+ ($ABOUT)}"
dvc repro
continual seal
dvc push --quiet
git push --quiet --follow-tags origin HEAD
git push --quiet origin --delete "iteration/$(sed -n 's/^number: //p' data/iteration.yaml | xargs printf '%03d')-$(sed -n 's/^window: "\(.*\)"/\1/p' data/iteration.yaml)" 2>/dev/null || :
