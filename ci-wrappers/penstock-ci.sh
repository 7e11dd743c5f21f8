#!/bin/sh
# What every CI wrapper calls. It gets what is needed, runs the pipeline and ends with the pipeline's exit code.
#
#   sh penstock-ci.sh run       run the pipeline; its report is then in $PENSTOCK_REPORT
#   sh penstock-ci.sh comment   put the summary on the pull or merge request, if there is one and a token
#
# All settings are variables (see README.md). What a stranger can choose (branch names, titles) is read from
# variables only, always in quotes, to be compared with something; none of it becomes an argument or a command.
set -eu

DAGGER_VERSION=0.21.8
DAGGER_SHA256_AMD64=53e226c7da8fb75171e58c35759d736d961ce8b3a12db0baa7b7107954fccc5a
DAGGER_SHA256_ARM64=cd0df4885f2050082932b4abc5a6aad9a733f6aa4e7d8474740558517ffec4af

source=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
report=${PENSTOCK_REPORT:-penstock-report}
unavailable=5
wrong=2

fail() {
  code=$1
  shift
  printf 'penstock-ci: %s\n' "$@" >&2
  exit "$code"
}

have() { command -v "$1" >/dev/null 2>&1; }

# Why this run takes place. Arguments: what started it, the pull request, the tag, the branch, the main branch.
decide() {
  case $1 in
    schedule | Schedule | scheduled_pipeline) echo schedule ;;
    workflow_dispatch | repository_dispatch | web | trigger | pipeline | Manual | ui | api) echo manual ;;
    *)
      if [ -n "$2" ]; then
        echo pull-request
      elif [ -n "$3" ]; then
        echo tag
      elif [ -n "$4" ] && [ "$4" = "$5" ]; then
        echo main
      fi
      ;;
  esac
}

event() {
  main=${PENSTOCK_DEFAULT_BRANCH:-main}
  if [ -n "${PENSTOCK_EVENT:-}" ]; then
    printf '%s\n' "$PENSTOCK_EVENT"
  elif [ -n "${GITHUB_ACTIONS:-}" ]; then
    request='' tag='' branch=''
    case ${GITHUB_REF:-} in
      refs/tags/*) tag=yes ;;
      refs/heads/*) branch=${GITHUB_REF#refs/heads/} ;;
      *) ;;
    esac
    case ${GITHUB_EVENT_NAME:-} in pull_request | merge_group) request=yes ;; *) ;; esac
    decide "${GITHUB_EVENT_NAME:-}" "$request" "$tag" "$branch" "$main"
  elif [ -n "${GITLAB_CI:-}" ]; then
    decide "${CI_PIPELINE_SOURCE:-}" "${CI_MERGE_REQUEST_IID:-}" "${CI_COMMIT_TAG:-}" \
      "${CI_COMMIT_BRANCH:-}" "${CI_DEFAULT_BRANCH:-}"
  elif [ -n "${CIRCLECI:-}" ]; then
    decide "${PENSTOCK_TRIGGER:-}" "${CIRCLE_PULL_REQUEST:-}" "${CIRCLE_TAG:-}" "${CIRCLE_BRANCH:-}" "$main"
  elif [ -n "${TF_BUILD:-}" ]; then
    tag='' branch=''
    case ${BUILD_SOURCEBRANCH:-} in
      refs/tags/*) tag=yes ;;
      refs/heads/*) branch=${BUILD_SOURCEBRANCH#refs/heads/} ;;
      *) ;;
    esac
    decide "${BUILD_REASON:-}" "${SYSTEM_PULLREQUEST_PULLREQUESTID:-}" "$tag" "$branch" "$main"
  elif [ -n "${BUILDKITE:-}" ]; then
    request=${BUILDKITE_PULL_REQUEST:-}
    [ "$request" != false ] || request=''
    decide "${BUILDKITE_SOURCE:-}" "$request" "${BUILDKITE_TAG:-}" "${BUILDKITE_BRANCH:-}" \
      "${BUILDKITE_PIPELINE_DEFAULT_BRANCH:-}"
  elif [ -n "${JENKINS_URL:-}" ]; then
    decide "${PENSTOCK_TRIGGER:-}" "${CHANGE_ID:-}" "${TAG_NAME:-}" "${BRANCH_IS_PRIMARY:-}" true
  fi
}

# What is released is called, if it can be a tag of an image: anything else is no argument of a command.
release() {
  name=${PENSTOCK_RELEASE:-${CI_COMMIT_TAG:-${CIRCLE_TAG:-${BUILDKITE_TAG:-${TAG_NAME:-}}}}}
  case ${GITHUB_REF:-${BUILD_SOURCEBRANCH:-}} in
    refs/tags/*) name=${PENSTOCK_RELEASE:-${GITHUB_REF:-${BUILD_SOURCEBRANCH:-}}} name=${name#refs/tags/} ;;
  esac
  case $name in
    '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9._-]*) ;;
    *) printf '%s' "$name" ;;
  esac
}

fetch() {
  if have curl; then
    curl -fsSL --retry 3 --connect-timeout 20 -o "$2" "$1"
  elif have wget; then
    wget -q -O "$2" "$1"
  else
    fail $unavailable 'neither curl nor wget is here; install one'
  fi
}

sha256() {
  if have sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# Puts the pinned Dagger CLI, checked, into a directory that only this job uses.
install_dagger() {
  [ "$(uname -s)" = Linux ] || fail $unavailable "the Dagger CLI is pinned for Linux, and this is $(uname -s)"
  case $(uname -m) in
    x86_64) architecture=amd64 expected=$DAGGER_SHA256_AMD64 ;;
    aarch64 | arm64) architecture=arm64 expected=$DAGGER_SHA256_ARM64 ;;
    *) fail $unavailable "there is no Dagger CLI for $(uname -m)" ;;
  esac
  expected=${PENSTOCK_DAGGER_SHA256:-$expected}
  name=dagger_v${DAGGER_VERSION}_linux_$architecture.tar.gz
  address=${PENSTOCK_DAGGER_URL:-https://dl.dagger.io/dagger/releases}/$DAGGER_VERSION/$name
  fetch "$address" "$tools/$name" || fail $unavailable "$address cannot be fetched" \
    'set PENSTOCK_DAGGER_URL to a mirror, or PENSTOCK_EXECUTOR to local'
  found=$(sha256 "$tools/$name")
  [ "$found" = "$expected" ] ||
    fail $unavailable "$address has the SHA-256 $found, and $expected is pinned: it was not used"
  tar -xzf "$tools/$name" -C "$tools" dagger
  dagger=$tools/dagger
}

# Runs a command that has time to tidy up when this job is cancelled; $code is what it ended with.
guard() {
  "$@" &
  child=$!
  trap 'kill -s TERM "$child" 2>/dev/null || :' HUP INT TERM
  code=0
  wait "$child" || code=$?
  while kill -0 "$child" 2>/dev/null; do
    code=0
    wait "$child" || code=$?
  done
  trap - HUP INT TERM
}

run_dagger() {
  dagger=${PENSTOCK_DAGGER:-}
  [ -n "$dagger" ] || install_dagger
  set -- -m "${PENSTOCK_MODULE:-$source}" call --source=.
  [ -z "${PENSTOCK_PIPELINE:-}" ] || set -- "$@" "--pipeline=$PENSTOCK_PIPELINE"
  [ -z "${PENSTOCK_PROFILE:-}" ] || set -- "$@" "--profile=$PENSTOCK_PROFILE"
  [ -z "$event" ] || set -- "$@" "--event=$event"
  [ -z "${PENSTOCK_ACCELERATOR:-}" ] || set -- "$@" "--accelerator=$PENSTOCK_ACCELERATOR"
  # the module does not get .git
  commit=$(git rev-parse --verify --quiet HEAD 2>/dev/null || :)
  [ -z "$commit" ] || set -- "$@" "--commit=$commit"
  name=$(release)
  [ -z "$name" ] || set -- "$@" "--release=$name"
  for name in $(printf '%s' "${PENSTOCK_SECRETS:-}" | tr -c 'A-Za-z0-9_' ' '); do
    set -- "$@" "--secrets=env://$name"
  done
  guard "$dagger" "$@" run report export "--path=$report"
  # a failed stage leaves a report; without one it is the call that failed, for which Dagger has only this code
  [ "$code" != 1 ] || [ -f "$report/exit-code" ] || code=$unavailable
  [ -f "$report/summary.md" ] || return 0
  # what `penstock run` shows at the end is lost among what Dagger shows
  cat "$report/summary.md"
  [ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$report/summary.md" >>"$GITHUB_STEP_SUMMARY"
}

run_local() {
  have python3 || fail $unavailable 'python3 is not here; the embedded executor needs 3.11 or newer'
  # installs what the lock file of Penstock names, with its hashes
  python3 "$source/dev" penstock version >&2 || exit $unavailable
  set -- run --report "$report"
  [ -z "${PENSTOCK_PIPELINE:-}" ] || set -- "$@" --pipeline "$PENSTOCK_PIPELINE"
  [ -z "${PENSTOCK_PROFILE:-}" ] || set -- "$@" --profile "$PENSTOCK_PROFILE"
  [ -z "$event" ] || set -- "$@" --event "$event"
  [ -z "${PENSTOCK_ACCELERATOR:-}" ] || set -- "$@" --accelerator "$PENSTOCK_ACCELERATOR"
  guard "$source/.venv/bin/penstock" "$@"
}

# The summary, where a system shows one and Penstock itself could not put it there.
show_summary() {
  [ -f "$report/summary.md" ] || return 0
  if [ -n "${TF_BUILD:-}" ]; then
    printf '##vso[task.uploadsummary]%s\n' "$PWD/$report/summary.md"
  elif [ -n "${BUILDKITE:-}" ] && have buildkite-agent; then
    buildkite-agent annotate --context penstock <"$report/summary.md" || :
  fi
}

run() {
  [ "${GITHUB_EVENT_NAME:-}" != pull_request_target ] || fail $wrong \
    'pull_request_target hands the secrets to whatever a stranger proposes' 'use pull_request'
  tools=$(mktemp -d)
  trap 'rm -rf "$tools"' EXIT
  rm -f "$report/exit-code" "$report/security.sarif"
  event=$(event)
  case ${PENSTOCK_EXECUTOR:-dagger} in
    dagger) run_dagger ;;
    local) run_local ;;
    *) fail $wrong "there is no executor $PENSTOCK_EXECUTOR" 'set PENSTOCK_EXECUTOR to dagger or local' ;;
  esac
  if [ -f "$report/exit-code" ]; then
    code=$(cat "$report/exit-code")
    case $code in '' | *[!0-9]* | ????*) fail $unavailable "$report/exit-code holds no exit code" ;; *) ;; esac
  fi
  show_summary
  [ -z "${GITHUB_OUTPUT:-}" ] || printf 'exit-code=%s\n' "$code" >>"$GITHUB_OUTPUT"
  [ -z "${GITHUB_OUTPUT:-}" ] || [ ! -f "$report/security.sarif" ] || echo 'sarif=true' >>"$GITHUB_OUTPUT"
  exit "$code"
}

# A comment is a convenience: without one the verdict stands, so nothing in here fails.
comment() {
  [ -f "$report/summary.md" ] || return 0
  [ -n "${PENSTOCK_COMMENT_TOKEN:-}${GITHUB_TOKEN:-}" ] || return 0
  case ${GITHUB_REF:-}:${CI_MERGE_REQUEST_IID:-} in refs/pull/*:* | *:[0-9]*) ;; *) return 0 ;; esac
  folder=$(CDPATH='' cd -- "$report" && pwd)
  python=$source/.venv/bin/python
  [ -x "$python" ] || python=python3
  # from its own directory: Python must not find modules in the repository that the pull request changes
  if ! (cd "$source/src" && PYTHONPATH='' "$python" -m penstock comment "$folder"); then
    echo 'penstock-ci: the comment was not written; the verdict does not depend on it' >&2
  fi
}

case ${1:-} in
  run | comment) "$1" ;;
  *) fail $wrong 'write: penstock-ci.sh run, or: penstock-ci.sh comment' ;;
esac
