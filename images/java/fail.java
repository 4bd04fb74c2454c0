public class Main {
    public static void main(String[] args) {
        int[] three = new int[3];
        System.out.println(three[3]);
    }
}
