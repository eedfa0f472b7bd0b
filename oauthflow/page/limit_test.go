package page

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	now := time.Now()
	l := NewLimiter(func() time.Time { return now }, Rate{Every: time.Minute, Burst: 2})
	from := func(address string) bool {
		return l.Allow(&http.Request{RemoteAddr: address, Header: http.Header{"X-Forwarded-For": {"192.0.2.99"}}})
	}
	for address, want := range map[string]string{
		"192.0.2.1:1": "192.0.2.1:2", "[2001:db8::1]:1": "[2001:db8::ffff:1]:1", "[::ffff:192.0.2.7]:1": "192.0.2.7:1",
	} {
		if !from(address) || !from(want) || from(address) {
			t.Errorf("%s and %s don't share two", address, want)
		}
	}
	if !from("192.0.2.2:1") || !from("[2001:db8:0:1::1]:1") {
		t.Error("others are held up")
	}
	allowed := 0
	for i := range 100 {
		if from("198.51.100." + string(rune('0'+i%10)) + string(rune('0'+i/10)) + ":1") {
			allowed++
		}
	}
	if allowed > 20 {
		t.Errorf("%d from many addresses at once", allowed)
	}
	for i := range 2 * maxAddresses {
		from(fmt.Sprintf("[2001:db8:%x::1]:1", i))
	}
	if len(l.each) > maxAddresses {
		t.Errorf("%d addresses remembered", len(l.each))
	}
}
