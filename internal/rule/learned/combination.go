package learned

// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -1.909, first: 1, second: 0.2, limits: limits{soft: -0.211, hard: 0.678}}
	definitionCombination = combination{gate: -1.316, first: 1, second: 0.2, limits: limits{soft: -0.219, hard: 0.822}}
)
