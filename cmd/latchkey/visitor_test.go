package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A visitor is one person's browser: cookies, redirects, and the page it shows. It
// keeps a browser's rules where they matter here: form-action holds for every
// redirect after a POST, forms come with Sec-Fetch-Site, and our no-referrer pages
// send the Origin "null".
type visitor struct {
	http *http.Client
	// stopAt is where the journey leaves our world: a redirect to an address that
	// starts so is not followed but kept in at.
	stopAt string
	at     *url.URL
	status int
	body   string
	header http.Header
	trail  []string // every address of the last journey, for failures
}

func newVisitor() *visitor {
	jar, _ := cookiejar.New(nil) // never fails
	v := &visitor{at: &url.URL{}}
	v.http = &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return v
}

// open goes to address.
func (v *visitor) open(address string) error {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	v.trail = nil
	return v.travel(req, nil)
}

// press submits the form of the first button, or follows the first link, whose
// text contains text, or whose id is text after "#".
func (v *visitor) press(text string) error {
	controls, err := parsePage(v.body)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(controls, func(c control) bool { return c.is(text) })
	if i < 0 {
		return fmt.Errorf("there is no button or link %q on this page\n%s", text, v)
	}
	c := controls[i]
	v.trail = nil
	if c.form == nil {
		return v.open(v.resolve(c.href).String())
	}
	return v.submit(c)
}

// pick takes the radio button beside that label in the form of the first button whose
// text contains text, and presses it.
func (v *visitor) pick(label, text string) error {
	controls, err := parsePage(v.body)
	if err != nil {
		return err
	}
	for _, c := range controls {
		if c.form == nil || !c.is(text) {
			continue
		}
		for _, option := range c.form.options {
			if strings.Contains(option.text, label) {
				c.form.values.Set(option.name, option.value)
				v.trail = nil
				return v.submit(c)
			}
		}
	}
	return fmt.Errorf("there is no %q to pick before %q on this page\n%s", label, text, v)
}

// submit sends c's form as a browser does.
func (v *visitor) submit(c control) error {
	values := url.Values{}
	for name, list := range c.form.values {
		values[name] = list
	}
	if c.name != "" {
		values.Add(c.name, c.value)
	}
	target := v.resolve(c.form.action)
	if !strings.EqualFold(c.form.method, "post") {
		target.RawQuery = values.Encode()
		return v.open(target.String())
	}
	req, err := http.NewRequest(http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "null")
	req.Header.Set("Sec-Fetch-Site", map[bool]string{true: "same-origin", false: "cross-site"}[target.Host == v.at.Host])
	return v.travel(req, formTargets(v.header, v.at))
}

// travel sends req and follows redirects to a page. targets are what form-action
// allows; nil means anything.
func (v *visitor) travel(req *http.Request, targets []string) error {
	for range 20 {
		v.trail = append(v.trail, req.Method+" "+req.URL.String())
		if targets != nil && !slices.Contains(targets, req.URL.Scheme+"://"+req.URL.Host) {
			return fmt.Errorf("the page's form-action %v forbids going to %s", targets, req.URL)
		}
		if v.stopAt != "" && strings.HasPrefix(req.URL.String(), v.stopAt) {
			v.at = req.URL
			return nil
		}
		next, err := v.load(req)
		if err != nil || next == nil {
			return err
		}
		req = next
	}
	return fmt.Errorf("too many redirects: %v", v.trail)
}

// load sends req and shows the page, or returns the request that its redirect asks
// for.
func (v *visitor) load(req *http.Request) (*http.Request, error) {
	res, err := v.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	v.at, v.status, v.body, v.header = req.URL, res.StatusCode, string(body), res.Header
	if res.StatusCode/100 != 3 {
		return nil, nil
	}
	to, err := res.Location()
	if err != nil {
		return nil, err
	}
	method, kept := http.MethodGet, io.Reader(nil)
	if res.StatusCode == http.StatusTemporaryRedirect || res.StatusCode == http.StatusPermanentRedirect {
		method = req.Method
		if req.GetBody != nil {
			kept, _ = req.GetBody()
		}
	}
	return http.NewRequest(method, to.String(), kept)
}

// formTargets are the origins that the page at address lets its forms reach.
func formTargets(h http.Header, address *url.URL) []string {
	for part := range strings.SplitSeq(h.Get("Content-Security-Policy"), ";") {
		if list, ok := strings.CutPrefix(strings.TrimSpace(part), "form-action "); ok {
			list = strings.ReplaceAll(list, "'self'", address.Scheme+"://"+address.Host)
			return strings.Fields(list)
		}
	}
	return nil
}

func (v *visitor) resolve(ref string) *url.URL {
	u, err := v.at.Parse(ref)
	if err != nil {
		return &url.URL{}
	}
	return u
}

// sees is nil where the page shows text.
func (v *visitor) sees(text string) error {
	if !strings.Contains(v.text(), text) {
		return fmt.Errorf("the page doesn't show %q\n%s", text, v)
	}
	return nil
}

// text is the page as a person reads it.
func (v *visitor) text() string {
	var b strings.Builder
	d := decoder(v.body)
	skip := false
	for {
		tok, err := d.RawToken()
		if err != nil {
			return strings.Join(strings.Fields(b.String()), " ")
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			skip = tok.Name.Local == "style" || tok.Name.Local == "title"
		case xml.EndElement:
			skip = false
		case xml.CharData:
			if !skip {
				b.Write(tok)
			}
		}
	}
}

// String says where the browser is and what it shows, for failures.
func (v *visitor) String() string {
	return fmt.Sprintf("%d at %s\n%s\nafter %s", v.status, v.at, v.text(), strings.Join(v.trail, "\n      "))
}

// A control is a button or a link.
type control struct {
	id, text, name, value string
	href                  string
	form                  *form // nil for a link
}

func (c control) is(text string) bool {
	return text == "#"+c.id || strings.Contains(c.text, text)
}

type form struct {
	method, action string
	values         url.Values
	options        []*control // radio buttons with their labels
}

// parsePage finds the controls of a page. Our own pages and the sandbox's are
// simple enough for the lenient XML decoder.
func parsePage(body string) ([]control, error) {
	var (
		list    []control
		current *form
		open    *control
		option  *control
	)
	d := decoder(body)
	for {
		tok, err := d.RawToken()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the page can't be read: %w", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			switch tok.Name.Local {
			case "form":
				current = &form{method: attr(tok, "method"), action: attr(tok, "action"), values: url.Values{}}
			case "input":
				fill(current, tok)
				if option != nil {
					option.name, option.value = attr(tok, "name"), attr(tok, "value")
				}
			case "label":
				option = &control{}
			case "button":
				open = &control{id: attr(tok, "id"), name: attr(tok, "name"), value: attr(tok, "value"), form: current}
			case "a":
				open = &control{id: attr(tok, "id"), href: attr(tok, "href")}
			}
		case xml.CharData:
			if open != nil {
				open.text += string(tok)
			}
			if option != nil {
				option.text += string(tok)
			}
		case xml.EndElement:
			switch name := tok.Name.Local; {
			case name == "form":
				current = nil
			case name == "label" && current != nil && option != nil:
				current.options, option = append(current.options, option), nil
			case open != nil && (name == "button" || name == "a"):
				open.text = strings.Join(strings.Fields(open.text), " ")
				list, open = append(list, *open), nil
			}
		}
	}
}

// fill adds an input's value to the form it is in, as a browser would send it.
func fill(f *form, input xml.StartElement) {
	box := attr(input, "type") == "checkbox" || attr(input, "type") == "radio"
	checked := slices.ContainsFunc(input.Attr, func(a xml.Attr) bool { return a.Name.Local == "checked" })
	if f != nil && attr(input, "name") != "" && (!box || checked) {
		f.values.Add(attr(input, "name"), attr(input, "value"))
	}
}

func decoder(body string) *xml.Decoder {
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict, d.Entity = false, xml.HTMLEntity
	return d
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
