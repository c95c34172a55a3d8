// Questions to answer by looking: each is an address of this page. Methods without a rate get the page's.

export const QUESTIONS: [question: string, hash: string][] = [
  ["A valley a hundred times as steep across as along: what does momentum gain?", "p=ill-conditioned&x=100,1&n=300&o=SGD;Momentum;Nesterov"],
  ["A constant slope: why does Adagrad slow down where RMSprop strides on?", "p=gutter&n=300&o=Adagrad,lr=0.1;RMSprop,lr=0.1;SGD,lr=0.01"],
  ["Two rates, one on each side of the limit: where does the path turn outwards?", "p=ill-conditioned&x=100,1&n=200&o=SGD,lr=0.0196;SGD,lr=0.0204&c=margin&t=50"],
  ["The first ten steps: what does correcting Adam's averages change?", "p=booth&n=40&o=Adam,lr=0.5;Adam:notes-uncorrected,lr=0.5&t=1"],
  ["An ε far above the gradients: which method has Adam become?", "p=rosenbrock&n=200&o=Adam:notes-uncorrected,lr=100,eps=1e4;Momentum,lr=1e-3&c=eps&t=50"],
  ["A valley across both axes: do rates for each coordinate still help?", "p=matyas&x=8,-2&n=300&o=SGD;Momentum;Adagrad;Adam"],
  ["A feature that is rarely on: who learns its weight?", "p=neuron-feature&n=500&o=SGD;Adagrad;Adam"],
  ["Beside a saddle's ridge: who leaves first, and what slows the others?", "p=bounded-saddle&n=200&o=SGD;Momentum;Adam,lr=0.01"],
  ["A plateau with gradients of a millionth: what does ε decide there?", "p=easom&x=0.5,0.5&n=300&o=Adam,lr=0.05;Adam,lr=0.05,eps=1e-5;SGD,lr=1&c=eps&t=1"],
];
