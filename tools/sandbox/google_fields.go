package sandbox

import (
	"encoding/json"
	"strings"
)

// A mask is a partial response: what to keep of an object. A nil mask keeps all.
type mask map[string]mask

// parseMask reads the fields parameter, "items(id,start/dateTime),nextPageToken",
// up to the parenthesis that closes it; ok is false for what is no such list.
func parseMask(s string) (m mask, rest string, ok bool) {
	m = mask{}
	for {
		end := strings.IndexAny(s, ",()")
		if end < 0 {
			end = len(s)
		}
		path := strings.Split(s[:end], "/")
		s = s[end:]
		var sub mask
		if strings.HasPrefix(s, "(") {
			if sub, s, ok = parseMask(s[1:]); !ok || !strings.HasPrefix(s, ")") {
				return nil, "", false
			}
			s = s[1:]
		}
		if !m.add(path, sub) {
			return nil, "", false
		}
		if !strings.HasPrefix(s, ",") {
			return m, s, true
		}
		s = s[1:]
	}
}

// add puts sub at path.
func (m mask) add(path []string, sub mask) bool {
	name := path[0]
	if name == "" {
		return false
	}
	if len(path) == 1 {
		m[name] = sub
		return true
	}
	if m[name] == nil {
		m[name] = mask{}
	}
	return m[name].add(path[1:], sub)
}

func (m mask) keep(value any) any {
	switch v := value.(type) {
	case object:
		out := object{}
		for name, field := range v {
			sub, listed := m[name]
			if star, all := m["*"]; !listed && all {
				sub, listed = star, true
			}
			switch {
			case listed && sub == nil:
				out[name] = field
			case listed:
				out[name] = sub.keep(field)
			}
		}
		return out
	case []any:
		out := []any{}
		for _, one := range v {
			out = append(out, m.keep(one))
		}
		return out
	}
	return value
}

// partial applies the fields parameter to a good answer: a stand-in that sends
// more than was asked for hides what a client forgot to ask.
func partial(c *call, a answer) answer {
	fields := c.URL.Query().Get("fields")
	if fields == "" || a.status != 200 {
		return a
	}
	m, rest, ok := parseMask(fields)
	if !ok || rest != "" {
		return badParameter("fields", "Invalid field selection "+fields)
	}
	var plain any
	b, err := json.Marshal(a.body)
	if err == nil {
		err = json.Unmarshal(b, &plain)
	}
	if err != nil {
		return googleFailing(500)
	}
	a.body = m.keep(plain)
	return a
}
