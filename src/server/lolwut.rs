//! LOLWUT: a piece of computer art, and the version.
//!
//! Each version number of the command stands for a piece; a number without one answers the version alone.
//!
//! - 5 is *Schotter* ("gravel"), which Georg Nees had a plotter draw in 1968: rows of squares that fall into disorder
//!   from top to bottom. A braille character serves as two by four dots. Arguments: columns of the terminal, squares
//!   in a row, rows of squares.
//! - 6 is a skyline at dusk in the four greys of an early hand-held console. Arguments: columns, rows.

use std::f64::consts::{FRAC_PI_4, SQRT_2, TAU};

use crate::server::version::REDIS_VERSION;
use crate::server::{Client, CmdError, CmdResult, Server};

/// What is drawn when no version is asked for.
const DEFAULT_VERSION: i64 = 5;

/// `LOLWUT [VERSION version] [arg ...]`
pub fn lolwut(_srv: &mut Server, c: &mut Client) -> CmdResult {
    let versioned = c.argv.len() >= 3 && c.argv.is(1, b"version");
    let (version, first) = if versioned {
        (c.argv.int(2)?, 3)
    } else if c.argv.len() == 2 && c.argv.is(1, b"version") {
        (DEFAULT_VERSION, 2)
    } else {
        (DEFAULT_VERSION, 1)
    };
    let art = match version {
        5 => {
            let cols = argument(c, first, 66, 1000)?;
            let per_row = argument(c, first + 1, 8, 200)?;
            schotter(cols, per_row, argument(c, first + 2, 12, 200)?)
                + "\nGeorg Nees - schotter, plotter on paper, 1968. "
        }
        6 => {
            let cols = argument(c, first, 80, 1000)?;
            skyline(cols, argument(c, first + 1, 20, 1000)?) + "\nAn evening in four shades of grey. "
        }
        _ => String::new(),
    };
    c.out.verbatim("txt", format!("{art}Redis ver. {REDIS_VERSION}\n").as_bytes());
    Ok(())
}

/// Argument `i` as a number from 1 to `most`: nearest to what was sent, or `default` when nothing was.
fn argument(c: &Client, i: usize, default: usize, most: usize) -> Result<usize, CmdError> {
    if i >= c.argv.len() { Ok(default) } else { Ok(c.argv.int(i)?.clamp(1, most as i64) as usize) }
}

/// Dots that can be set, shown as braille: a character is two dots wide and four high.
struct Canvas {
    width: usize,
    height: usize,
    dots: Vec<bool>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Canvas {
        Canvas { width, height, dots: vec![false; width * height] }
    }

    fn get(&self, x: usize, y: usize) -> bool {
        x < self.width && y < self.height && self.dots[y * self.width + x]
    }

    /// Sets the dot at a point, unless it lies outside.
    fn set(&mut self, (x, y): (f64, f64)) {
        let (x, y) = (x.round(), y.round());
        if x >= 0.0 && y >= 0.0 && (x as usize) < self.width && (y as usize) < self.height {
            self.dots[y as usize * self.width + x as usize] = true;
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steps = dx.abs().max(dy.abs()).ceil().max(1.0);
        for step in 0..=steps as usize {
            let part = step as f64 / steps;
            self.set((from.0 + dx * part, from.1 + dy * part));
        }
    }

    /// A square around a point, turned by an angle.
    fn square(&mut self, (x, y): (f64, f64), side: f64, angle: f64) {
        let corner = |n: usize| {
            let direction = angle + FRAC_PI_4 + TAU * n as f64 / 4.0;
            (x + side / SQRT_2 * direction.cos(), y + side / SQRT_2 * direction.sin())
        };
        for n in 0..4 {
            self.line(corner(n), corner(n + 1));
        }
    }

    /// The character whose first dot is at `x`, `y`.
    fn braille(&self, x: usize, y: usize) -> char {
        // Unicode numbers the dots column by column, except that the fourth row was added later.
        const DOTS: [(usize, usize); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
        let set = DOTS.iter().enumerate().filter(|(_, (dx, dy))| self.get(x + dx, y + dy));
        let bits: u32 = set.map(|(bit, _)| 1 << bit).sum();
        char::from_u32(0x2800 + bits).expect("the block of braille patterns has 256 characters")
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for y in (0..self.height).step_by(4) {
            text.extend((0..self.width).step_by(2).map(|x| self.braille(x, y)));
            text.push('\n');
        }
        text
    }
}

fn schotter(cols: usize, per_row: usize, rows: usize) -> String {
    let width = cols * 2;
    let margin = if width > 4 { 2.0 } else { 0.0 };
    let side = (width as f64 - 2.0 * margin) / per_row as f64;
    let height = (side * rows as f64 + 2.0 * margin).ceil().max(1.0) as usize;
    let mut canvas = Canvas::new(width, height);
    for row in 0..rows {
        // The first rows stay in order.
        let disorder = if row > 1 { row as f64 / rows as f64 } else { 0.0 };
        let chance = || rand::random_range(-disorder..=disorder);
        for col in 0..per_row {
            let centre = |n: usize, off: f64| margin + side * (n as f64 + 0.5 + off / 3.0);
            let at = (centre(col, chance()), centre(row, chance()));
            canvas.square(at, side, chance());
        }
    }
    canvas.text()
}

/// Background colours of a terminal, from light to dark.
const GREYS: [u8; 4] = [107, 47, 100, 40];

fn skyline(cols: usize, rows: usize) -> String {
    let mut picture = vec![vec![0_usize; cols]; rows];
    // The farther houses are drawn first, higher and lighter.
    for (shade, high, low) in [(1, 0.85, 0.5), (2, 0.65, 0.3), (3, 0.4, 0.1)] {
        let mut col = 0;
        while col < cols {
            let width = rand::random_range(3..9).min(cols - col);
            let height = (rand::random_range(low..high) * rows as f64) as usize;
            house(&mut picture, (col, width, height), shade);
            col += width;
        }
    }
    let mut text = String::new();
    for line in picture {
        for shade in line {
            text.push_str(&format!("\x1b[0;{}m \x1b[0m", GREYS[shade]));
        }
        text.push('\n');
    }
    text
}

/// Draws a house from the bottom up; some windows of the nearest houses are lit.
fn house(picture: &mut [Vec<usize>], (col, width, height): (usize, usize, usize), shade: usize) {
    let rows = picture.len();
    for (storey, line) in picture[rows - height..].iter_mut().enumerate() {
        for (room, cell) in line[col..col + width].iter_mut().enumerate() {
            let window = room % 2 == 1 && storey % 2 == 1 && room + 1 < width;
            *cell = if shade == 3 && window && rand::random_bool(0.3) { 0 } else { shade };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_become_braille() {
        let mut canvas = Canvas::new(4, 4);
        for point in [(0.0, 0.0), (1.0, 3.0), (2.0, 3.0), (9.0, 0.0), (-1.0, 0.0)] {
            canvas.set(point);
        }
        assert_eq!(canvas.text(), "\u{2881}\u{2840}\n");
    }

    #[test]
    fn squares_in_order_are_squares() {
        let mut canvas = Canvas::new(8, 8);
        canvas.square((3.5, 3.5), 7.0, 0.0);
        assert_eq!(canvas.text(), "⡏⠉⠉⢹\n⣇⣀⣀⣸\n");
    }

    #[test]
    fn pieces_have_the_size_asked_for() {
        for (cols, per_row, rows) in [(1, 1, 1), (66, 8, 12), (1000, 200, 1), (1, 200, 200)] {
            let text = schotter(cols, per_row, rows);
            assert!(text.lines().all(|line| line.chars().count() == cols) && !text.is_empty());
        }
        for (cols, rows) in [(1, 1), (80, 20), (3, 1000)] {
            let text = skyline(cols, rows);
            assert_eq!(text.lines().count(), rows);
            assert!(text.lines().all(|line| line.matches("m \x1b[0m").count() == cols));
        }
    }
}
