package learned

// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -1.520, first: 1, second: 0.2, limits: limits{soft: -0.947, hard: -0.736}}
	definitionCombination = combination{gate: -0.805, first: 1, second: 0.2, limits: limits{soft: -0.626, hard: 0.409}}
)
