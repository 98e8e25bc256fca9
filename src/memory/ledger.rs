//! Buffers that come and go, with the bytes in use at any time.

use super::pages::Event;

/// A buffer, shared by its references.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Buffer(usize);

/// What the bytes in use consist of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    /// Gradients of parameters.
    pub gradients: usize,
    /// Activations and their gradients.
    pub activations: usize,
    /// Scratch space of operations.
    pub workspace: usize,
}

impl Use {
    /// All of it.
    pub fn total(&self) -> usize {
        self.gradients + self.activations + self.workspace
    }
}

/// The bytes in use, and the most there were.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    buffers: Vec<(usize, usize)>,
    pub now: Use,
    pub peak: Use,
    /// Where the peak was.
    pub place: String,
    /// The name of the current step.
    pub at: String,
    /// All that happened to buffers that share pages, in its order.
    pub events: Vec<Event>,
    /// Bytes of those that have memory of their own on GPUs: gradients, batches.
    pub lasting: Vec<usize>,
    /// Bytes of each gradient in use.
    gradients: Vec<usize>,
    /// Bytes of gradients that were freed, whose memory the next ones of these sizes take.
    spare: Vec<usize>,
    /// The most bytes of gradients there were.
    pub most_gradients: usize,
}

impl Ledger {
    pub fn new_buffer(&mut self, bytes: usize) -> Buffer {
        self.now.activations += bytes;
        let buffer = self.take(bytes);
        self.look();
        buffer
    }

    /// A buffer with memory of its own.
    pub fn new_lasting(&mut self, bytes: usize) -> Buffer {
        self.now.activations += bytes;
        let buffer = self.buffers.len();
        self.buffers.push((bytes, 1));
        self.lasting.push(bytes);
        self.look();
        Buffer(buffer)
    }

    /// A buffer with its number.
    fn take(&mut self, bytes: usize) -> Buffer {
        let buffer = self.buffers.len();
        self.buffers.push((bytes, 1));
        self.events.push(Event::Take { buffer, bytes });
        Buffer(buffer)
    }

    pub fn share(&mut self, buffer: Buffer) -> Buffer {
        self.buffers[buffer.0].1 += 1;
        buffer
    }

    pub fn release(&mut self, buffer: Buffer) {
        let (bytes, references) = &mut self.buffers[buffer.0];
        *references -= 1;
        if *references == 0 {
            self.now.activations -= *bytes;
            self.events.push(Event::Give { buffer: buffer.0 });
        }
    }

    /// A new buffer in the place of this one.
    pub fn renew(&mut self, buffer: Buffer, bytes: usize) -> Buffer {
        let made = self.new_buffer(bytes);
        self.release(buffer);
        made
    }

    pub fn share_all(&mut self, buffers: &[Buffer]) -> Vec<Buffer> {
        buffers.iter().map(|&b| self.share(b)).collect()
    }

    pub fn release_all(&mut self, buffers: impl IntoIterator<Item = Buffer>) {
        buffers.into_iter().for_each(|b| self.release(b));
    }

    pub fn bytes(&self, buffer: Buffer) -> usize {
        self.buffers[buffer.0].0
    }

    /// Whether an operation that is given this reference may write into it.
    pub fn unique(&self, buffer: Buffer) -> bool {
        self.buffers[buffer.0].1 == 1
    }

    /// The result of an element-wise operation: in the first operand that nobody else uses, or new.
    pub fn in_place(&mut self, given: &[Buffer], bytes: usize) -> Buffer {
        let place = given.iter().copied().find(|&g| self.unique(g));
        let made = place.unwrap_or_else(|| self.new_buffer(bytes));
        self.release_all(given.iter().copied().filter(|&g| g != made));
        made
    }

    /// The gradient of parameters, kept until the optimizer's step.
    pub fn gradient(&mut self, bytes: usize) {
        self.now.gradients += bytes;
        self.most_gradients = self.most_gradients.max(self.now.gradients);
        self.gradients.push(bytes);
        match self.spare.iter().position(|&spare| spare == bytes) {
            Some(place) => {
                self.spare.swap_remove(place);
            }
            None => self.lasting.push(bytes),
        }
        self.look();
    }

    /// How many gradients are in use.
    pub fn gradients(&self) -> usize {
        self.gradients.len()
    }

    /// Frees all gradients but so many that were there first, after the optimizer's step, which
    /// needs scratch space.
    pub fn step(&mut self, first: usize, scratch: usize) {
        if scratch > 0 {
            self.scratch(scratch);
        }
        for bytes in self.gradients.drain(first..) {
            self.now.gradients -= bytes;
            self.spare.push(bytes);
        }
    }

    /// Scratch space, gone when the operation is done.
    pub fn scratch(&mut self, bytes: usize) {
        self.now.workspace += bytes;
        let buffer = self.take(bytes);
        self.look();
        self.now.workspace -= bytes;
        self.events.push(Event::Give { buffer: buffer.0 });
    }

    fn look(&mut self) {
        if self.now.total() > self.peak.total() {
            (self.peak, self.place) = (self.now, self.at.clone());
        }
    }
}
