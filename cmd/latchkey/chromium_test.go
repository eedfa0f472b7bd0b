package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// A chromium is a real browser with an empty profile of its own: two of them are
// two people's browsers.
type chromium struct {
	t   *testing.T
	ctx context.Context
}

// newChromium starts a headless browser that ends with the test. Where none is
// installed the test is left out, except in CI.
func newChromium(t *testing.T) *chromium {
	t.Helper()
	path := findChromium()
	if path == "" {
		leaveOut(t, "a Chromium browser (Debian's package chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, // CI runs as root, where Chromium refuses its sandbox
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1000, 800),
	)
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() { cancel(); cancelAllocator() })
	c := &chromium{t, ctx}
	// The first run starts the browser, which lives as long as that run's context.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return c
}

// leaveOut skips a test that needs something which isn't installed, and fails it
// in CI, where everything is.
func leaveOut(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("CI must have %s", what)
	}
	t.Skipf("left out: it needs %s", what)
}

func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// run does actions within twenty seconds; what the page shows is part of the
// failure.
func (c *chromium) run(actions ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		c.t.Fatalf("in the browser: %v\n%s", err, c.page())
	}
}

// click clicks the first element at that XPath, once it is visible. The page itself does
// it, in one step: a mouse would have to be aimed first, and while one page follows
// another it meets what is at the same place there.
func (c *chromium) click(xpath string) {
	c.t.Helper()
	script := fmt.Sprintf(`(() => {
		const e = document.evaluate(%q, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE, null).singleNodeValue
		e?.click()
		return e !== null
	})()`, xpath)
	ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
	defer cancel()
	for clicked := false; !clicked; {
		err := chromedp.Do(ctx, chromedp.WaitVisible(xpath))
		if err == nil {
			clicked, err = chromedp.Run(ctx, chromedp.Evaluate[bool](script))
		}
		if err != nil && (ctx.Err() != nil || !strings.Contains(err.Error(), "Could not find node")) {
			c.t.Fatalf("in the browser: %v\n%s", err, c.page())
		}
	}
}

// page is where the browser is and what it shows.
func (c *chromium) page() string {
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return fmt.Sprintf("(the page can't be read: %v)", err)
	}
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
	if err != nil {
		return fmt.Sprintf("%s (its text can't be read: %v)", at, err)
	}
	return at + "\n" + text
}

// open goes to url.
func (c *chromium) open(url string) {
	c.t.Helper()
	c.run(chromedp.Navigate(url))
}

// press clicks the first button or link whose text begins with text.
func (c *chromium) press(text string) {
	c.t.Helper()
	xpath := fmt.Sprintf(`(//button|//a)[starts-with(normalize-space(), %q)]`, text)
	c.click(xpath)
}

// pressIfThere presses only what the page has already.
func (c *chromium) pressIfThere(text string) {
	c.t.Helper()
	if strings.Contains(c.page(), text) {
		c.press(text)
	}
}

// clickRadio clicks the first radio button with that label.
func (c *chromium) clickRadio(label string) {
	c.t.Helper()
	c.click(fmt.Sprintf(`(//label[contains(normalize-space(), %q)]//input)[1]`, label))
}

// clickID clicks the element with that id.
func (c *chromium) clickID(id string) {
	c.t.Helper()
	c.click(fmt.Sprintf(`//*[@id=%q]`, id))
}

// sees waits until the page shows text.
func (c *chromium) sees(text string) {
	c.t.Helper()
	c.run(chromedp.WaitVisible(fmt.Sprintf(`//body[contains(normalize-space(), %q)]`, text)))
}

// screenshot takes the page, that wide. The environment's SCREENSHOTS names a
// directory to keep it in.
func (c *chromium) screenshot(name string, width int64, dark bool) {
	c.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	c.run(colourScheme(scheme), chromedp.EmulateViewport(width, 200))
	png, err := chromedp.Run(c.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		c.t.Fatal(err)
	}
	c.run(chromedp.EmulateViewport(1000, 800))
	if len(png) < 2000 {
		c.t.Fatalf("the screenshot %s is empty (%d bytes)", name, len(png))
	}
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	check(c.t, os.MkdirAll(dir, 0o755))
	check(c.t, os.WriteFile(filepath.Join(dir, name), png, 0o644))
}

// colourScheme is what the person prefers: "light" or "dark".
func colourScheme(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}
