import java.util.Scanner;

public class Main {
    public static void main(String[] args) {
        for (String argument : args) {
            System.out.println(argument);
        }
        Scanner lines = new Scanner(System.in);
        while (lines.hasNextLine()) {
            System.out.println(lines.nextLine().toUpperCase());
        }
    }
}
