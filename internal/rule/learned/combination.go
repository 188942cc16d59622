package learned

// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -1.714, first: 1, second: 0.2, limits: limits{soft: -0.034, hard: 0.883}}
	definitionCombination = combination{gate: -1.119, first: 1, second: 0.2, limits: limits{soft: 0.071, hard: 0.710}}
)
