package store

import "testing"

// Rings reach those who listen at that slot, never block, and are not heard after
// hanging up; nothing of a listener stays behind.
func TestBells(t *testing.T) {
	var b bells
	github, google := slot{provider: "github"}, slot{provider: "google"}
	one, hangUpOne := b.listen(github)
	two, hangUpTwo := b.listen(github)
	other, hangUpOther := b.listen(google)
	b.ring(github)
	b.ring(github)
	if len(one) != 1 || len(two) != 1 || len(other) != 0 {
		t.Fatalf("heard %d, %d and %d times", len(one), len(two), len(other))
	}
	<-one
	hangUpOne()
	b.ring(github)
	if len(one) != 0 || len(two) != 1 {
		t.Fatal("a ring after hanging up")
	}
	hangUpTwo()
	hangUpOther()
	if len(b.waiting) != 0 {
		t.Fatalf("%d slots stay behind", len(b.waiting))
	}
}
