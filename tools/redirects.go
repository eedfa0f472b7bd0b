package tools

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	// hostPattern is a host name whose first label is, or ends with, a star, and that
	// has two more at least: a star never stands for somebody's whole domain.
	hostPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?\*(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+\.[a-z]([a-z0-9-]*[a-z0-9])?$`)
	hostLabel   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	hostNumber  = regexp.MustCompile(`^[0-9]+$`)
)

// checkRedirects says what makes the rule's redirects unsafe.
func (r Rule) checkRedirects() error {
	if len(r.Redirects) > 0 && r.Method != http.MethodGet {
		return errors.New("only a GET may be redirected")
	}
	for i, pattern := range r.Redirects {
		switch {
		case !hostName.MatchString(pattern) && !hostPattern.MatchString(pattern):
			return fmt.Errorf("%q is no host to redirect to", pattern)
		case covers(pattern, r.Host):
			return fmt.Errorf("%q is the provider itself, which has the rules", pattern)
		case slices.Contains(r.Redirects[:i], pattern):
			return fmt.Errorf("%q is there twice", pattern)
		}
	}
	return nil
}

// CheckRedirect is nil if an answer to a request of the rule's may redirect to that
// URL, which must be absolute.
func (r Rule) CheckRedirect(to *url.URL) error {
	switch {
	case to == nil || to.Scheme != "https":
		return errors.New("a redirect, but not to https")
	case to.User != nil || to.Opaque != "":
		return errors.New("a redirect with a user, or to an opaque URL")
	case !slices.ContainsFunc(r.Redirects, func(pattern string) bool { return covers(pattern, to.Host) }):
		return fmt.Errorf("a redirect to %s, which the contract doesn't list", quoted(to.Host))
	}
	return nil
}

// covers reports whether host is pattern's.
func covers(pattern, host string) bool {
	first, parent, _ := strings.Cut(pattern, ".")
	prefix, starred := strings.CutSuffix(first, "*")
	if !starred {
		return pattern == host
	}
	label, rest, _ := strings.Cut(host, ".")
	if rest != parent {
		return false
	}
	if prefix == "" {
		return hostLabel.MatchString(label)
	}
	number, ok := strings.CutPrefix(label, prefix)
	return ok && hostNumber.MatchString(number)
}
