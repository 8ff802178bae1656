#!/bin/sh
# Turn the crank as far as it goes without a person, and tell people what is asked of them. For cron; run it as often as you like.
#   WAIT       how long after its end a window's data are complete (1d)
#   AUTOMATIC  yes: sign within the mandate in params.yaml, and defer the rest; otherwise every decision waits for a person
#   PUSH       yes: push sealed iterations to the Git and DVC remotes
# Prints only what somebody must look at, because cron mails what a job prints. Ends with the exit code of `continual turn`.
set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p .dvc/tmp/continual
log=.dvc/tmp/continual/turn.log
code=0
continual turn --wait "${WAIT:-1d}" ${AUTOMATIC:+--automatic} >"$log" 2>&1 || code=$?
continual notify >>"$log" 2>&1 || cat "$log" >&2
if [ -n "${PUSH:-}" ]; then
    { dvc push --quiet && git push --quiet --follow-tags; } >>"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi
case $code in
    0 | 3 | 75) ;;        # done; a person was asked; another command is at work
    *) cat "$log" >&2 ;;
esac
exit $code
