package github

import (
	"errors"
	"slices"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

// refusedWith is GitHub's answer, if it has one of the statuses.
func refusedWith(err error, statuses ...int) (*gh.ErrorResponse, bool) {
	answer, ok := errors.AsType[*gh.ErrorResponse](err)
	return answer, ok && slices.Contains(statuses, status(err))
}

// says reports whether err is GitHub's refusal with that status and those words.
func says(err error, status int, words string) bool {
	answer, ok := refusedWith(err, status)
	return ok && strings.Contains(answer.Message, words)
}

// moved is the conflict that names where things are now.
func moved(about, now, expected, argument string) error {
	return told("%s has moved: its head is %s now, not %s. Look at what changed, then try again with the new one as %s.", about, now, expected, argument)
}

// unclear is told where GitHub accepted a change and its answer doesn't say which.
func unclear(look string) error {
	return told("GitHub didn't answer as it should, and the outcome is unknown: %s whether it happened before you try again.", look)
}

// odd is told where an answer to a question can't be read.
func odd(about string) error {
	return told("%s: GitHub didn't answer as it should. Try again in a minute.", about)
}

// blank reports whether a text is given and nobody would see it.
func blank(text *string) bool { return text != nil && strings.TrimSpace(tools.Clean(*text)) == "" }
