package limit

import (
	"context"
	"fmt"
	"testing"
)

// fiveQuotas are all kept but the third.
const fiveQuotas = `quotas:
  user: {by: [user], rate: 1000000/s, burst: 1000000}
  team: {by: [team], rate: 1000000/s, burst: 1000000}
  busy: {by: [user, server], concurrent: 1000}
  day: {by: [user, tool], per_day: 1000000000000}
  money: {by: [user], when: {tools: [pay_*]}, sum: {argument: amount, per_day: 999999999999999999}}
`

func BenchmarkTake(b *testing.B) {
	run := func(b *testing.B, store Store) {
		l := newLimiter(b, store, fiveQuotas)
		s := call(func(s *Subject) { s.Arguments = arguments(b, `{"to":"a","amount":0.01}`) })
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			g, err := l.Take(ctx, s)
			if err != nil {
				b.Fatal(err)
			}
			if err := g.Done(100, false); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("memory", func(b *testing.B) { run(b, InMemory(nil)) })
	b.Run("journal", func(b *testing.B) {
		store, err := Open(b.TempDir(), nil)
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		run(b, store)
	})
	b.Run("none", func(b *testing.B) {
		l := newLimiter(b, InMemory(nil), "")
		s := call(nil)
		for b.Loop() {
			if _, err := l.Take(context.Background(), s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		store, err := Open(b.TempDir(), nil)
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		l := newLimiter(b, store, fiveQuotas)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			s := call(func(s *Subject) { s.Arguments = arguments(b, `{"to":"a","amount":0.01}`) })
			for n := 0; pb.Next(); n++ {
				s.User = users[n%len(users)]
				g, err := l.Take(context.Background(), s)
				if err != nil {
					b.Fatal(err)
				}
				if err := g.Done(100, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

var users = func() (list []string) {
	for i := range 100 {
		list = append(list, fmt.Sprintf("user:idp/%d", i))
	}
	return list
}()
