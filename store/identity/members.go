package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// errMembers is any JSON that two parsers could read in two ways.
var errMembers = errors.New("not an unambiguous JSON object")

// members are the members of one JSON object, by exact name. A token is read
// through it, because what a library makes of "sub" twice, of "Sub", or of bytes
// that aren't UTF-8 differs from one to the next.
type members map[string]json.RawMessage

// parseMembers reads data as a single object without duplicate names (RFC 7515,
// section 5.2, step 4; RFC 7519, section 4), and without a name that differs from
// one of known only in case.
func parseMembers(data []byte, known []string) (members, error) {
	if !utf8.Valid(data) {
		return nil, errMembers
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, errMembers
	}
	m := members{}
	for dec.More() {
		if err := m.read(dec, known); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, errMembers
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errMembers
	}
	return m, nil
}

func (m members) read(dec *json.Decoder, known []string) error {
	token, err := dec.Token()
	if err != nil {
		return errMembers
	}
	name, ok := token.(string)
	if !ok || m.has(name) || variant(name, known) {
		return errMembers
	}
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return errMembers
	}
	m[name] = value
	return nil
}

// variant reports whether name is one of known in another case, by the folding
// that encoding/json uses.
func variant(name string, known []string) bool {
	for _, k := range known {
		if name != k && strings.EqualFold(name, k) {
			return true
		}
	}
	return false
}

func (m members) has(name string) bool {
	_, ok := m[name]
	return ok
}

// hasAny is the first of names that m has, or "".
func (m members) hasAny(names ...string) string {
	for _, name := range names {
		if m.has(name) {
			return name
		}
	}
	return ""
}

// text is the string of that name; false where it is absent or no string.
func (m members) text(name string) (string, bool) {
	raw, ok := m[name]
	if !ok || len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// texts is the array of strings of that name, or its one string.
func (m members) texts(name string) ([]string, bool) {
	if one, ok := m.text(name); ok {
		return []string{one}, true
	}
	raw, ok := m[name]
	if !ok || raw[0] != '[' {
		return nil, false
	}
	var all []*string
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, false
	}
	out := make([]string, len(all))
	for i, s := range all {
		if s == nil {
			return nil, false
		}
		out[i] = *s
	}
	return out, true
}

// lastSecond is the end of the year 9999.
const lastSecond = 253402300799

// date is the NumericDate of that name (RFC 7519, section 2), whole seconds: a
// plain positive number, never a string, an exponent or zero, which some
// libraries take for "no limit".
func (m members) date(name string) (time.Time, bool) {
	whole, fraction, dotted := strings.Cut(string(m[name]), ".")
	if dotted && strings.Trim(fraction, "0123456789") != "" {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n <= 0 || n > lastSecond {
		return time.Time{}, false
	}
	return time.Unix(n, 0), true
}
