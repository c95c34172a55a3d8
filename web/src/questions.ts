// Questions to answer by looking: each is an address of this page. Methods without a rate get the page's.

export interface Question {
  text: string;
  hash: string;
  /** What to predict, then to move. */
  look: string;
}

export const QUESTIONS: Question[] = [
  { text: "A valley a hundred times as steep across as along: what does momentum gain?",
    hash: "p=ill-conditioned&x=100,1&n=300&o=SGD;Momentum;Nesterov",
    look: "Guess how many times sooner it arrives; then move beta of Momentum towards 1, and see when it is too much." },
  { text: "A constant slope: why does Adagrad slow down where RMSprop strides on?",
    hash: "p=gutter&n=300&o=Adagrad,lr=0.1;RMSprop,lr=0.1;SGD,lr=0.01&c=rate",
    look: "Guess the shape of both effective rates; look at them by step, and at the state that they are made from." },
  { text: "Two rates, one on each side of the limit: where does the path turn outwards?",
    hash: "p=ill-conditioned&x=100,1&n=200&o=SGD,lr=0.0196;SGD,lr=0.0204&c=margin&t=50",
    look: "The steepest curvature is 100: guess the largest rate that does not diverge, and move towards it." },
  { text: "The first ten steps: what does correcting Adam's averages change?",
    hash: "p=booth&n=40&o=Adam,lr=0.5;Adam:notes-uncorrected,lr=0.5&t=1",
    look: "Guess which of both steps farther at first; move the step on and see when they are alike." },
  { text: "An ε far above the gradients: which method has Adam become?",
    hash: "p=rosenbrock&n=200&o=Adam:notes-uncorrected,lr=100,eps=1e4;Momentum,lr=1e-3&c=eps&t=50",
    look: "Compare the paths; then lower ε by tens and see at which size of the gradient they part." },
  { text: "A valley across both axes: do rates for each coordinate still help?",
    hash: "p=matyas&x=8,-2&n=300&o=SGD;Momentum;Adagrad;Adam&c=split",
    look: "Guess what scaling adds to a step here; compare it with a valley along an axis, the first question." },
  { text: "A feature that is rarely on: who learns its weight?",
    hash: "p=neuron-feature&n=500&o=SGD;Adagrad;Adam&c=rate",
    look: "Guess which coordinate has the larger rate under Adagrad, and by how much." },
  { text: "Beside a saddle's ridge: who leaves first, and what slows the others?",
    hash: "p=bounded-saddle&n=200&o=SGD;Momentum;Adam,lr=0.01",
    look: "Move the start towards the ridge, y = 0: guess who is held up most." },
  { text: "A plateau with gradients of a millionth: what does ε decide there?",
    hash: "p=easom&x=0.5,0.5&n=300&o=Adam,lr=0.05;Adam,lr=0.05,eps=1e-5;SGD,lr=1&c=eps&t=1",
    look: "Guess which of the three moves at all; then make ε smaller and larger." },
  { text: "Momentum at its best: does theory's rate hold from the first step on?",
    hash: "p=ill-conditioned&x=1,1&n=150&o=Momentum,lr=0.0331,beta=0.669;SGD,lr=0.0198&c=predicted&t=40",
    look: "Guess how far the path goes out before it comes in; compare the height by step with the predicted share." },
];
