// Command linear trains the first tier of the learned classifier and measures it.
//
//	go run ./tools/train/linear [-out FOLDER] examples.jsonl
//
// Examples are what tools/train/data.py writes. Every family of sources is held out once:
// a model that has not seen it scores it, and only such scores are reported and decide
// the limits. With -out a model that has seen all is written to the folder. The same
// examples give the same bytes on the same kind of processor.
package main

import (
	"flag"
	"log"
	"os"
	"runtime"
	"sync"
)

func main() {
	out := flag.String("out", "", "folder of the package that receives the weights")
	windows := flag.String("windows", "", "file that receives the most suspicious windows of every text, to fit the second tier")
	scores := flag.String("scores", "", "file that receives the score of every measured text")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: linear [-out FOLDER] [-scores FILE] examples.jsonl")
	}
	if err := run(flag.Arg(0), *out, *scores, *windows); err != nil {
		log.Fatal(err)
	}
}

func run(path, out, scores, windows string) error {
	all, err := load(path)
	if err != nil {
		return err
	}
	weigh(all)
	holdOut(all)
	text := fitText(all)
	for _, e := range all {
		e.score = text.of(e.reading)
	}
	limits := chooseLimits(all)
	report(os.Stdout, all, limits)
	if scores != "" {
		if err := writeScores(scores, all); err != nil {
			return err
		}
	}
	if windows != "" {
		if err := writeWindows(windows, all, text); err != nil {
			return err
		}
	}
	if out == "" {
		return nil
	}
	return export(out, train(all, -1), text, limits)
}

// holdOut scores every example by a model that has not seen its fold.
func holdOut(all []*example) {
	folds := 0
	for _, e := range all {
		folds = max(folds, e.Fold+1)
	}
	var group sync.WaitGroup
	free := make(chan bool, max(1, runtime.GOMAXPROCS(0)))
	for fold := range folds {
		group.Go(func() {
			free <- true
			defer func() { <-free }()
			m := train(all, fold)
			for _, e := range all {
				if e.Fold == fold {
					e.reading = m.read(e)
				}
			}
		})
	}
	group.Wait()
}
