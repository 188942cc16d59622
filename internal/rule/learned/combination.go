package learned

// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -1.337, first: 1, second: 0.2, limits: limits{soft: -0.704, hard: 0.029}}
	definitionCombination = combination{gate: -0.502, first: 1, second: 0.2, limits: limits{soft: -0.372, hard: 1.044}}
)
