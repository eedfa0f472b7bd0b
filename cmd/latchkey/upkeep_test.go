package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// What fails is logged, and tried again at the next interval; the end of ctx ends it.
func TestEvery(t *testing.T) {
	var log bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	calls := 0
	c := config{Log: slog.New(slog.NewTextHandler(&log, nil))}
	c.every(ctx, time.Millisecond, "retrying revocations", func(context.Context) error {
		if calls++; calls == 3 {
			stop()
		}
		return errors.New("no room")
	})
	if calls != 3 || strings.Count(log.String(), "retrying revocations") != 3 {
		t.Fatalf("%d calls, log %s", calls, log.String())
	}
}
