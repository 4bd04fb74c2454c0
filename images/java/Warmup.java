// Compiled while the image is made, and never run: it makes the compiler walk through
// the parts of itself that most programs need.

import java.util.*;
import java.util.function.*;
import java.util.stream.*;

sealed interface Shape permits Circle, Square {}

record Circle(double radius) implements Shape {}

record Square(double side) implements Shape {}

enum Colour { RED, GREEN }

class Warmup {
    interface Visitor<T extends Comparable<T>> {
        T visit(List<? super T> list) throws Exception;
    }

    static class Node<T> {
        T value;
        Node<T> next;

        Node(T value) {
            this.value = value;
        }
    }

    static double area(Shape shape) {
        return switch (shape) {
            case Circle(double radius) -> Math.PI * radius * radius;
            case Square square when square.side() > 3 -> 9;
            case Square square -> square.side() * square.side();
        };
    }

    public static void main(String[] args) throws Exception {
        Map<String, List<Integer>> groups = new TreeMap<>();
        for (int i = 0; i < 10; i++) {
            groups.computeIfAbsent("k" + i % 3, key -> new ArrayList<>()).add(i);
        }
        System.out.println(groups.entrySet().stream()
            .map(entry -> entry.getKey() + "=" + entry.getValue())
            .collect(Collectors.joining(", ")));
        try (Scanner in = new Scanner(System.in)) {
            while (in.hasNextLine()) {
                System.out.printf("%s%n", in.nextLine());
            }
        } catch (IllegalStateException | NoSuchElementException error) {
            throw new RuntimeException(error);
        } finally {
            System.err.println("done");
        }
        long sum = 0;
        outer:
        for (int[] row : new int[3][4]) {
            for (int cell : row) {
                if (cell > 3) {
                    continue outer;
                }
                sum += cell;
            }
        }
        Supplier<Node<String>> make = () -> new Node<>("x");
        var text = new StringBuilder(make.get().value).append(sum).reverse();
        Runnable task = new Runnable() {
            @Override
            public void run() {
                synchronized (this) {
                    System.out.println(text + """
                        a text block
                        """);
                }
            }
        };
        task.run();
        Object boxed = 1;
        if (boxed instanceof Integer number && number > 0) {
            System.out.println(area(new Circle(number)));
        }
        String word = switch (Colour.RED) {
            case RED -> "r";
            case GREEN -> {
                yield "g";
            }
        };
        assert word != null;
    }
}
